//! Connection strings of hubs, with the errors that Mender's users know.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::ports::HubKey;

/// What stands in the place of most of a key.
pub const MASK: &str = "...<omitted>";
/// The longest one, in characters.
const LONGEST: usize = 4096;
/// The names there are.
const NAMES: [&str; 6] = [
    "HostName",
    "SharedAccessKeyName",
    "SharedAccessKey",
    "SharedAccessSignature",
    "DeviceId",
    "ModuleId",
];
/// Of an unknown name so many characters are repeated: more could be a misplaced key.
const NAME_SHOWN: usize = 21;
/// Characters of a key in base64 that are shown: three bytes.
const KEY_SHOWN: usize = 4;
/// Of a shorter key, in bytes, there would be nothing to hide.
const SHORTEST_KEY: usize = 3;

/// The connection string as it may be shown: without all but three bytes of the key.
#[must_use]
pub fn masked(host: &str, policy: &str, key: &str) -> String {
    let shown: String = key.chars().take(KEY_SHOWN).collect();
    format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey={shown}{MASK}")
}

/// Reads one. The host is not compared with any list yet.
pub(crate) fn parse(text: &str) -> Result<HubKey, String> {
    if text.chars().count() > LONGEST {
        return Err(format!(
            "connection string can be no longer than {LONGEST} characters"
        ));
    }
    let mut values = [""; NAMES.len()];
    for part in text.split(';') {
        let (name, value) = part
            .split_once('=')
            .ok_or("invalid connectionstring format")?;
        let place = NAMES.iter().position(|known| *known == name);
        let place = place.ok_or_else(|| unknown(name))?;
        values[place] = value;
    }
    let [host, policy, key, _, device, _] = values;
    let decoded = STANDARD.decode(key).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| "shared access key format: illegal base64 data")?;
    let blank = |text: &str| text.is_empty().then_some("cannot be blank");
    let mut faults = Vec::new();
    faults.extend(blank(host).map(|text| format!("HostName: {text}")));
    faults.extend(blank(key).map(|text| format!("Key: {text}")));
    if !faults.is_empty() {
        return Err(invalid(&format!("{}.", faults.join("; "))));
    }
    if policy.is_empty() && device.is_empty() {
        let text = "one of 'DeviceId' or 'SharedAccessKeyName' must be set";
        return Err(invalid(text));
    }
    if policy.is_empty() {
        return Err(invalid(
            "'SharedAccessKeyName' must be set: a device's key opens no hub",
        ));
    }
    if decoded.len() < SHORTEST_KEY {
        return Err(invalid(&format!(
            "Key: the length must be no less than {SHORTEST_KEY}."
        )));
    }
    Ok(HubKey {
        host: plain(host),
        policy: policy.to_owned(),
        key: Zeroizing::new(key.to_owned()),
    })
}

/// What comes of validation, rather than of reading, says so.
pub(crate) fn invalid(text: &str) -> String {
    format!("connection string invalid: {text}")
}

fn unknown(name: &str) -> String {
    if name.chars().count() > NAME_SHOWN {
        return "invalid connection string key".to_owned();
    }
    format!("invalid connection string key: {name}")
}

/// In lower case, without a dot at the end or the usual port.
fn plain(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host);
    host.strip_suffix('.').unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let refusal = parse(text).unwrap_err();
        assert!(refusal.contains(why), "{refusal}");
        assert!(!refusal.contains("MDEy"), "{refusal}");
    }

    #[test]
    fn what_is_shown_does_not_parse_and_holds_three_bytes() {
        let text =
            format!("HostName=H.azure-devices.net.;SharedAccessKeyName=p;SharedAccessKey={KEY}");
        let read = parse(&text).unwrap();
        assert_eq!(read.host, "h.azure-devices.net");
        let shown = masked(&read.host, &read.policy, &read.key);
        assert_eq!(
            shown,
            "HostName=h.azure-devices.net;SharedAccessKeyName=p;SharedAccessKey=MDEy...<omitted>"
        );
        refused(&shown.replace("MDEy", "AAAA"), "shared access key format: ");
    }

    #[test]
    fn every_fault_has_its_text() {
        let good = format!("HostName=h;SharedAccessKeyName=p;SharedAccessKey={KEY}");
        refused(&format!("{good};"), "invalid connectionstring format");
        refused("HostName", "invalid connectionstring format");
        refused(
            &format!("{good};GatewayHostName=g"),
            "invalid connection string key: GatewayHostName",
        );
        refused(
            &format!("{good};hostname=g"),
            "invalid connection string key: hostname",
        );
        refused("HostName=h;SharedAccessKey=!", "shared access key format: ");
        refused(
            "SharedAccessKeyName=p",
            "HostName: cannot be blank; Key: cannot be blank.",
        );
        refused(
            &format!("HostName=;SharedAccessKeyName=p;SharedAccessKey={KEY}"),
            "HostName: cannot be blank.",
        );
        refused("HostName=h;SharedAccessKeyName=p", "Key: cannot be blank.");
        refused(
            &format!("HostName=h;SharedAccessKey={KEY}"),
            "one of 'DeviceId' or 'SharedAccessKeyName' must be set",
        );
        refused(
            &format!("HostName=h;DeviceId=d;SharedAccessKey={KEY}"),
            "a device's key opens no hub",
        );
        refused(
            &format!("{good};ModuleId={}", "m".repeat(4096)),
            "connection string can be no longer than 4096 characters",
        );
        refused(
            "HostName=h;SharedAccessKeyName=p;SharedAccessKey=MDE=",
            "Key: the length must be no less than 3.",
        );
        refused(&format!("{KEY}{KEY}=x"), "invalid connection string key");
    }
}
