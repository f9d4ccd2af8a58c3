//! The check of a preauthorized device: does the twin say what the device says?

use axum::body::Body;
use axum::http::StatusCode;
use messages::{DeviceId, ModuleId, TenantId};
use serde_json::{Number, Value};

use crate::api::{Api, Call};
use crate::json::Object;
use crate::ports::Backend;
use crate::reply::Reply;
use crate::{body, pem};

/// What the text before the device's id must be.
const PROVIDER: &str = "iot-hub";

/// What is asked. Public keys are in DER.
struct Asked {
    /// `<device>` or `<device>/<module>`.
    of: String,
    id_data: Value,
    key: Vec<u8>,
}

/// 204, or 400 and 401 without a word.
pub(crate) async fn answer<B: Backend>(api: &Api<B>, call: &Call<'_>, body: Body) -> Reply {
    let text = match body::text(body, api.limits.body).await {
        Ok(text) => text,
        Err(refusal) => return refusal.silent(),
    };
    let Some(asked) = Asked::read(&text) else {
        return Reply::empty(StatusCode::BAD_REQUEST);
    };
    let agrees = match call.part(0).parse() {
        Ok(tenant) => agrees(api, &tenant, &asked).await,
        Err(_) => None,
    };
    match agrees {
        Some(()) => Reply::empty(StatusCode::NO_CONTENT),
        None => Reply::empty(StatusCode::UNAUTHORIZED),
    }
}

/// `Some` if the twin is there and agrees. Trouble of any kind is no agreement.
async fn agrees<B: Backend>(api: &Api<B>, tenant: &TenantId, asked: &Asked) -> Option<()> {
    let (device, module) = match asked.of.split_once('/') {
        Some((device, module)) => (device, Some(module)),
        None => (asked.of.as_str(), None),
    };
    let device: DeviceId = device.parse().ok()?;
    let module: Option<ModuleId> = module.map(str::parse).transpose().ok()?;
    let looked = api.backend.state(tenant, &device, module.as_ref());
    let looked = tokio::time::timeout(api.limits.twin_within, looked).await;
    let reported = looked.ok()?.ok()?.reported;
    let key = pem::public_key(reported.get("pubkey")?.as_str()?)?;
    (key == asked.key && same(reported.get("id_data")?, &asked.id_data)).then_some(())
}

impl Asked {
    fn read(text: &str) -> Option<Self> {
        let object = Object::read(text).ok()?;
        let external = object.text("external_id").ok()?;
        let (provider, of) = external.split_once(' ')?;
        object.object("id_data").ok()?;
        Some(Self {
            of: (provider == PROVIDER).then(|| of.to_owned())?,
            id_data: object.value("id_data").ok()?,
            key: pem::public_key(&object.text("pubkey").ok()?)?,
        })
    }
}

/// Equal in depth; 1 is 1.0, but whole numbers are told apart however long they are.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let all = one.iter();
            one.len() == other.len()
                && all
                    .into_iter()
                    .all(|(key, a)| other.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    let whole = |number: &Number| {
        number
            .to_string()
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'-')
    };
    if whole(one) && whole(other) {
        return one.to_string() == other.to_string();
    }
    one.as_f64().is_some() && one.as_f64() == other.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_data_is_compared_in_depth() {
        let value = |text| serde_json::from_str::<Value>(text).unwrap();
        let check = |one, other, expected| assert_eq!(same(&value(one), &value(other)), expected);
        check(r#"{"a":[1,{"b":"c"}]}"#, r#"{"a":[1.0,{"b":"c"}]}"#, true);
        check(r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false);
        check("9007199254740993", "9007199254740992", false);
        check("[1]", "[1,1]", false);
        check(r#""1""#, "1", false);
    }
}
