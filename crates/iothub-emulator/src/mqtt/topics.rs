//! The topics of IoT Hub: what a device may publish, and what it may subscribe to.
//!
//! Source: "Communicate with an IoT hub using the MQTT protocol" in Azure's documentation. Request
//! ids are echoed as they came, without looking at them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::registry::Target;
use crate::session::Channel;

const TWIN_GET: &str = "$iothub/twin/GET/";
const TWIN_REPORT: &str = "$iothub/twin/PATCH/properties/reported/";
const METHOD_ANSWER: &str = "$iothub/methods/res/";
const REQUEST_ID: &str = "$rid";

/// What a device wants by publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// To read its twin, under this request id.
    TwinGet(String),
    /// To merge into its reported properties, under this request id.
    Report(String),
    /// To answer the call with this request id by this status.
    MethodAnswer(i32, String),
    /// To send a message to the cloud.
    Message,
}

/// Reads the topic of something published; `None` if the device may not publish that.
pub(super) fn asked(topic: &str, who: &Target) -> Option<Asked> {
    if let Some(rest) = topic.strip_prefix(TWIN_GET) {
        return request_id(rest).map(Asked::TwinGet);
    }
    if let Some(rest) = topic.strip_prefix(TWIN_REPORT) {
        return request_id(rest).map(Asked::Report);
    }
    if let Some(rest) = topic.strip_prefix(METHOD_ANSWER) {
        let (status, rest) = rest.split_once('/')?;
        return Some(Asked::MethodAnswer(status.parse().ok()?, request_id(rest)?));
    }
    let events = messages(topic, who)?.strip_prefix("events")?;
    // The rest is a bag of properties.
    (events.is_empty() || events.starts_with('/')).then_some(Asked::Message)
}

/// What a filter subscribes to; `None` if there is nothing of that kind.
pub(super) fn channel(filter: &str, who: &Target) -> Option<Channel> {
    match filter {
        "$iothub/methods/POST/#" => Some(Channel::Methods),
        "$iothub/twin/res/#" => Some(Channel::TwinAnswers),
        "$iothub/twin/PATCH/properties/desired/#" => Some(Channel::Desired),
        _ => (messages(filter, who)? == "devicebound/#").then_some(Channel::Messages),
    }
}

/// What follows `devices/{id}/messages/` in a topic of this device or module.
fn messages<'a>(topic: &'a str, who: &Target) -> Option<&'a str> {
    let (id, rest) = topic.strip_prefix("devices/")?.split_once('/')?;
    let rest = match &who.module {
        None => rest,
        Some(module) => {
            let (id, rest) = rest.strip_prefix("modules/")?.split_once('/')?;
            if !names(id, module) {
                return None;
            }
            rest
        }
    };
    let rest = rest.strip_prefix("messages/")?;
    names(id, &who.device).then_some(rest)
}

/// Whether a part of a topic is this id; some SDKs encode it and some do not.
fn names(part: &str, id: &str) -> bool {
    part == id || percent_decode_str(part).decode_utf8() == Ok(Cow::Borrowed(id))
}

/// The value of `$rid` in `?$rid=…&…`.
fn request_id(rest: &str) -> Option<String> {
    let mut pairs = rest.strip_prefix('?')?.split('&');
    let id = pairs.find_map(|pair| pair.strip_prefix(REQUEST_ID)?.strip_prefix('='))?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// Where the answer to a request about the twin goes; `version` after a report.
pub(super) fn twin_answer(status: u16, id: &str, version: Option<u64>) -> String {
    let version = version.map_or(String::new(), |version| format!("&$version={version}"));
    format!("$iothub/twin/res/{status}/?{REQUEST_ID}={id}{version}")
}

/// Where a change of desired properties goes.
pub(super) fn desired(version: &str) -> String {
    format!("$iothub/twin/PATCH/properties/desired/?$version={version}")
}

/// Where a call of a method goes.
pub(super) fn method(name: &str, id: u64) -> String {
    format!("$iothub/methods/POST/{name}/?{REQUEST_ID}={id:x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Target {
        Target {
            device: "d#1".to_owned(),
            module: None,
        }
    }

    fn module() -> Target {
        Target {
            module: Some("m1".to_owned()),
            device: "d1".to_owned(),
        }
    }

    #[test]
    fn requests_are_told_apart() {
        let asks = |topic: &str| asked(topic, &device());
        let id = || "7f-a%20".to_owned();
        assert_eq!(
            asks("$iothub/twin/GET/?$rid=7f-a%20"),
            Some(Asked::TwinGet(id()))
        );
        assert_eq!(
            asks("$iothub/twin/PATCH/properties/reported/?$version=3&$rid=7f-a%20"),
            Some(Asked::Report(id()))
        );
        assert_eq!(
            asks("$iothub/methods/res/-1/?$rid=7f-a%20"),
            Some(Asked::MethodAnswer(-1, id()))
        );
    }

    #[test]
    fn messages_go_out_in_the_own_name_only() {
        for (topic, who, may) in [
            ("devices/d%231/messages/events/", device(), true),
            ("devices/d%231/messages/events", device(), true),
            ("devices/d%231/messages/events/a=1&b", device(), true),
            ("devices/d%231/messages/eventsx", device(), false),
            ("devices/d2/messages/events/", device(), false),
            ("devices/d%231/messages/devicebound/", device(), false),
            ("devices/d1/messages/events/", module(), false),
            ("devices/d1/modules/m1/messages/events/", module(), true),
            ("devices/d1/modules/m2/messages/events/", module(), false),
            ("devices/d2/modules/m1/messages/events/", module(), false),
        ] {
            let wanted = may.then_some(Asked::Message);
            assert_eq!(asked(topic, &who), wanted, "{topic}");
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        for topic in [
            "",
            "a",
            "$iothub/twin/GET/",
            "$iothub/twin/GET/?$rid=",
            "$iothub/twin/GET/?rid=1",
            "$iothub/twin/GET?$rid=1",
            "$iothub/methods/res/200",
            "$iothub/methods/res/ok/?$rid=1",
            "$iothub/methods/res/99999999999/?$rid=1",
            "$iothub/methods/POST/m/?$rid=1",
            "$iothub/twin/PATCH/properties/desired/?$rid=1",
            "devices/d%231",
            "$SYS/broker",
        ] {
            assert_eq!(asked(topic, &device()), None, "{topic}");
        }
    }

    #[test]
    fn four_channels_can_be_subscribed_to() {
        for (filter, wanted) in [
            ("$iothub/methods/POST/#", Some(Channel::Methods)),
            ("$iothub/twin/res/#", Some(Channel::TwinAnswers)),
            (
                "$iothub/twin/PATCH/properties/desired/#",
                Some(Channel::Desired),
            ),
            (
                "devices/d1/modules/m1/messages/devicebound/#",
                Some(Channel::Messages),
            ),
            ("devices/d2/modules/m1/messages/devicebound/#", None),
            ("#", None),
            ("$iothub/#", None),
            ("devices/+/messages/devicebound/#", None),
        ] {
            assert_eq!(channel(filter, &module()), wanted, "{filter}");
        }
    }

    #[test]
    fn answers_carry_the_id_of_the_request() {
        assert_eq!(
            twin_answer(204, "a", Some(6)),
            "$iothub/twin/res/204/?$rid=a&$version=6"
        );
        assert_eq!(twin_answer(200, "a", None), "$iothub/twin/res/200/?$rid=a");
        assert_eq!(method("m", 255), "$iothub/methods/POST/m/?$rid=ff");
    }
}
