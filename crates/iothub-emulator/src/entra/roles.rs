//! Built-in roles, and what each of them allows.

use crate::glob;

/// What stands before every data action.
const PREFIX: &str = "Microsoft.Devices/IotHubs/";

/// Roles by name, with patterns of what they allow.
const ROLES: [(&str, &[&str]); 4] = [
    ("IoT Hub Data Contributor", &["*"]),
    ("IoT Hub Data Reader", &["*/read"]),
    ("IoT Hub Registry Contributor", &["devices/*"]),
    ("IoT Hub Twin Contributor", &["twins/*"]),
];

/// Whether a role, or a data action that stands for itself, allows an action.
pub(super) fn allows(role: &str, action: &str) -> bool {
    match ROLES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(role))
    {
        Some((_, patterns)) => patterns.iter().any(|it| glob::matches(it, action)),
        None => glob::matches(role.strip_prefix(PREFIX).unwrap_or(role), action),
    }
}

/// Whether a text is the name of a role, or looks like a data action.
pub(super) fn is_known(role: &str) -> bool {
    let named = ROLES
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case(role));
    named || role.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_allow_what_their_names_say() {
        for (role, action, allowed) in [
            ("IoT Hub Data Contributor", "devices/delete", true),
            ("IoT Hub Data Reader", "twins/read", true),
            ("IoT Hub Data Reader", "twins/write", false),
            ("iot hub registry contributor", "devices/write", true),
            ("IoT Hub Registry Contributor", "twins/read", false),
            ("IoT Hub Twin Contributor", "twins/write", true),
            ("Owner", "devices/read", false),
            ("Microsoft.Devices/IotHubs/twins/read", "twins/read", true),
            ("directMethods/*", "directMethods/invoke/action", true),
        ] {
            assert_eq!(allows(role, action), allowed, "{role} {action}");
        }
    }
}
