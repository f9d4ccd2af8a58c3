//! Direct methods: wait for the device if asked to, hand it the call, wait for its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{Answer, Performed};
use crate::behaviour::Reply;
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::registry::{Reach, Target, Trace};
use crate::script;

/// Seconds a device may take to answer.
const RESPONSE_SECONDS: std::ops::RangeInclusive<u64> = 5..=300;
/// Seconds it may take if the caller does not say.
const USUAL_RESPONSE: u64 = 30;
/// Seconds to wait for a device to connect.
const CONNECT_SECONDS: std::ops::RangeInclusive<u64> = 0..=300;
/// Largest payload, in bytes of JSON, each way.
pub(crate) const MAX_PAYLOAD: usize = 128 * 1024;
/// What may not stand in the name of a method, beside blanks.
const NOT_IN_NAMES: &str = "$()<>@,;:\\\"/[]?={}";

/// A checked call of a method.
#[derive(Debug, Clone)]
pub(crate) struct MethodCall {
    pub(crate) name: String,
    pub(crate) payload: Value,
    connect: Duration,
    response: Duration,
}

/// The body of a call.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    method_name: String,
    #[serde(default)]
    payload: Value,
    response_timeout_in_seconds: Option<u64>,
    connect_timeout_in_seconds: Option<u64>,
}

impl MethodCall {
    /// Reads the body of a call.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ServiceError> {
        let body: Value = serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            ServiceError::invalid(format!("The request body is not a method call: {place}."))
        })?;
        Self::from_value(body)
    }

    /// Reads a call that stands inside something else.
    pub(crate) fn from_value(body: Value) -> Result<Self, ServiceError> {
        let body: Body = serde_json::from_value(body)
            .map_err(|_| ServiceError::invalid("The request body is not a method call."))?;
        let sound = |c: char| c.is_ascii_graphic() && !NOT_IN_NAMES.contains(c);
        if body.method_name.is_empty() || !body.method_name.chars().all(sound) {
            return Err(ServiceError::invalid(
                "The method name is empty or has invalid characters.",
            ));
        }
        let response = body.response_timeout_in_seconds.unwrap_or(USUAL_RESPONSE);
        let connect = body.connect_timeout_in_seconds.unwrap_or_default();
        if !RESPONSE_SECONDS.contains(&response) || !CONNECT_SECONDS.contains(&connect) {
            return Err(ServiceError::invalid(
                "A timeout of the method is out of range.",
            ));
        }
        if connect > response {
            let text = "The connect timeout must not exceed the response timeout.";
            return Err(ServiceError::invalid(text));
        }
        if body.payload.to_string().len() > MAX_PAYLOAD {
            return Err(ServiceError::message_too_large());
        }
        Ok(Self {
            name: body.method_name,
            payload: body.payload,
            connect: Duration::from_secs(connect),
            response: Duration::from_secs(response),
        })
    }
}

/// POST of a method.
pub(super) async fn perform(
    hub: &Arc<Hub>,
    target: Target,
    body: &[u8],
) -> Result<Performed, ServiceError> {
    let call = MethodCall::parse(body)?;
    let answer = invoke(hub, &target, call).await;
    let trace = Trace {
        effective: answer.is_ok(),
        ..Trace::default()
    };
    let body = |(status, payload)| format!(r#"{{"status":{status},"payload":{payload}}}"#);
    Ok(Performed {
        answer: answer.map(|it| Answer::ok(body(it))),
        effect: Some((trace, hub.clock.tick())),
    })
}

/// Calls a method and waits for its status and payload.
pub(crate) async fn invoke(
    hub: &Arc<Hub>,
    target: &Target,
    call: MethodCall,
) -> Result<(i32, Value), ServiceError> {
    let begun = Instant::now();
    let deadline = begun + call.response;
    match reached(hub, target, &call, begun + call.connect).await? {
        Taker::Script(reply) => play(*reply, call.payload, begun, deadline).await,
        // Should its connection end first, nobody will ever know what it did.
        Taker::Device(answer) => match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(ServiceError::method_timeout()),
        },
    }
}

/// Who has taken a call.
enum Taker {
    /// A script, which answers so.
    Script(Box<Reply>),
    /// A device that is connected, whose answer comes here.
    Device(oneshot::Receiver<(i32, Value)>),
}

async fn play(
    reply: Reply,
    payload: Value,
    begun: Instant,
    deadline: Instant,
) -> Result<(i32, Value), ServiceError> {
    let delay = Duration::from_millis(reply.delay_ms);
    if reply.silent || begun + delay > deadline {
        sleep_until(deadline).await;
        return Err(ServiceError::method_timeout());
    }
    sleep(delay).await;
    let payload = if reply.echo { payload } else { reply.payload };
    Ok((reply.status, payload))
}

/// Hands the call to the device as soon as it is there, until the deadline.
async fn reached(
    hub: &Arc<Hub>,
    target: &Target,
    call: &MethodCall,
    deadline: Instant,
) -> Result<Taker, ServiceError> {
    loop {
        // Listening begins before looking, so that no connect in between goes unnoticed.
        let mut connected = pin!(hub.connections.notified());
        connected.as_mut().enable();
        match hub.with_registry(|registry, _| registry.reach(target, &call.name))? {
            Reach::Takes(generation, reply) => {
                script::play(hub, target.clone(), generation, reply.steps.clone());
                return Ok(Taker::Script(reply));
            }
            Reach::Line(line) => {
                let (name, payload) = (call.name.clone(), call.payload.clone());
                if let Some(answer) = hub.switchboard.call(line, name, payload) {
                    return Ok(Taker::Device(answer));
                }
            }
            Reach::Offline => {}
        }
        if timeout_at(deadline, connected).await.is_err() {
            return Err(ServiceError::device_not_online());
        }
    }
}
