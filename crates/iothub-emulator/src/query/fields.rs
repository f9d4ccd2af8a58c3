//! Names of built-in fields, which a query may spell in any case.

use super::ast::Path;

/// The fields of twins and of device jobs at the top.
const TOP: [&str; 33] = [
    "deviceId",
    "moduleId",
    "etag",
    "deviceEtag",
    "status",
    "statusReason",
    "statusUpdateTime",
    "connectionState",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
    "authenticationType",
    "x509Thumbprint",
    "modelId",
    "version",
    "tags",
    "properties",
    "configurations",
    "capabilities",
    "deviceScope",
    "parentScopes",
    "jobId",
    "jobType",
    "startTimeUtc",
    "endTimeUtc",
    "createdDateTimeUtc",
    "lastUpdatedDateTimeUtc",
    "outcome",
    "error",
    "deviceJobStatistics",
    "queryCondition",
    "createdTime",
    "startTime",
    "endTime",
];
/// The fields below some of them.
const BELOW: [(&str, &[&str]); 3] = [
    ("properties", &["desired", "reported"]),
    ("capabilities", &["iotEdge"]),
    (
        "x509Thumbprint",
        &["primaryThumbprint", "secondaryThumbprint"],
    ),
];
/// Names of collections that may stand before a field.
const COLLECTIONS: [&str; 2] = ["modules", "jobs"];

/// A path with the collection removed from its front and built-in names in their own spelling.
pub(super) fn canonical(mut path: Path) -> Path {
    if path.len() > 1 && path[0].eq_ignore_ascii_case("devices") {
        path.remove(0);
        if path.len() > 1
            && COLLECTIONS
                .iter()
                .any(|it| path[0].eq_ignore_ascii_case(it))
        {
            path.remove(0);
        }
    }
    spell(&mut path[0], &TOP);
    let below = BELOW.iter().find(|(top, _)| *top == path[0]);
    if let (Some((_, names)), Some(second)) = (below, path.get_mut(1)) {
        spell(second, names);
    }
    path
}

fn spell(name: &mut String, known: &[&str]) {
    if let Some(own) = known.iter().find(|it| it.eq_ignore_ascii_case(name)) {
        (*own).clone_into(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &[&str], expected: &[&str]) {
        let path = path.iter().map(ToString::to_string).collect();
        assert_eq!(canonical(path), expected);
    }

    #[test]
    fn built_in_names_get_their_own_spelling_and_user_keys_keep_theirs() {
        check(&["DEVICEID"], &["deviceId"]);
        check(
            &["Properties", "REPORTED", "Status"],
            &["properties", "reported", "Status"],
        );
        check(&["Tags", "DeviceId"], &["tags", "DeviceId"]);
        check(&["capabilities", "IOTEDGE"], &["capabilities", "iotEdge"]);
    }

    #[test]
    fn the_collection_may_stand_before_a_field() {
        check(&["devices", "deviceid"], &["deviceId"]);
        check(&["Devices", "modules", "moduleid"], &["moduleId"]);
        check(&["devices"], &["devices"]);
    }
}
