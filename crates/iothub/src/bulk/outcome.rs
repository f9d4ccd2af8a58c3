//! What became of the items of a bulk call.
//!
//! The hub lists only what failed. An item that is not listed was carried out, also in a call that
//! failed in other items; no recording shows that, but the shape of the answer makes no sense
//! otherwise. If a failure cannot be assigned to an item, the items that nothing is said about are
//! called unknown instead, and the caller has to read them.

use serde_json::Value;

use super::BulkItem;
use crate::document::Document;
use crate::error::{self, Error, Result};
use crate::module::ModuleId;

/// What became of one item.
#[derive(Debug, Clone)]
pub enum ItemOutcome {
    /// It was carried out.
    Applied,
    /// The identity was made, and its twin was not: edit the twin to repair that.
    AppliedWithoutTwin,
    /// It was not carried out. The error is that of the same change in a call of its own.
    Failed(Error),
    /// The hub reported a failure without saying clearly of what. Read the identity.
    Unknown,
}

impl ItemOutcome {
    /// Whether the identity or twin is now as the item wanted it.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied)
    }
}

/// What became of a bulk call, item by item.
///
/// ```
/// use iothub::{BulkItem, BulkOutcome, ItemOutcome, Kind};
///
/// let items = [BulkItem::delete_any_version(&"a".parse()?), BulkItem::delete_any_version(&"b".parse()?)];
/// let answer = br#"{"isSuccessful":false,"errors":[{"deviceId":"b","errorCode":"DeviceNotFound"}],"warnings":[]}"#;
/// let outcome = BulkOutcome::from_json(&items, answer)?;
/// assert!(outcome.items()[0].is_applied());
/// let ItemOutcome::Failed(error) = &outcome.items()[1] else { panic!() };
/// assert_eq!(error.kind(), Kind::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BulkOutcome {
    items: Vec<ItemOutcome>,
    unassigned: Vec<Error>,
}

impl BulkOutcome {
    /// Reads the answer to a call with these items. Without `isSuccessful` in it, it is
    /// [`crate::Kind::Malformed`].
    pub fn from_json(items: &[BulkItem], body: &[u8]) -> Result<Self> {
        let answer = Document::parse(body, &[])?;
        let successful = answer.get("isSuccessful").and_then(Value::as_bool);
        let successful = successful
            .ok_or_else(|| Error::malformed("the body does not say whether the call succeeded"))?;
        let mut this = Self {
            items: vec![ItemOutcome::Applied; items.len()],
            unassigned: Vec::new(),
        };
        for warning in list(&answer, "warnings") {
            this.set_all(items, warning, &ItemOutcome::AppliedWithoutTwin);
        }
        let mut failures = 0;
        for failure in list(&answer, "errors") {
            failures += 1;
            let error = error::read_item(failure.get("errorCode"));
            if !this.set_all(items, failure, &ItemOutcome::Failed(error.clone())) {
                this.unassigned.push(error);
            }
        }
        if !this.unassigned.is_empty() || !successful && failures == 0 {
            for item in &mut this.items {
                if item.is_applied() {
                    *item = ItemOutcome::Unknown;
                }
            }
        }
        Ok(this)
    }

    /// What became of each item, in the order of the call.
    #[must_use]
    pub fn items(&self) -> &[ItemOutcome] {
        &self.items
    }

    /// Errors that name no item of the call.
    #[must_use]
    pub fn unassigned(&self) -> &[Error] {
        &self.unassigned
    }

    /// Whether everything was carried out.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.items.iter().all(ItemOutcome::is_applied)
    }

    /// Notes an outcome for the items that an entry of the hub's names: those of the device and
    /// module exactly, or, if there is none, all of the device's. Whether there was one.
    fn set_all(&mut self, items: &[BulkItem], entry: &Value, outcome: &ItemOutcome) -> bool {
        let text = |name| {
            let text = entry.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let Some(device) = text("deviceId") else {
            return false;
        };
        let module = text("moduleId");
        let of_device = |item: &BulkItem| item.device.as_str() == device;
        let exact = |item: &BulkItem| {
            of_device(item) && item.module.as_ref().map(ModuleId::as_str) == module
        };
        let any_exact = items.iter().any(exact);
        let mut found = false;
        for (item, slot) in items.iter().zip(&mut self.items) {
            if exact(item) || !any_exact && of_device(item) {
                *slot = outcome.clone();
                found = true;
            }
        }
        found
    }
}

fn list<'a>(answer: &'a Document, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = answer.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::{Effect, Kind};

    fn items() -> Vec<BulkItem> {
        let a = "a".parse().unwrap();
        vec![
            BulkItem::delete_any_version(&a),
            BulkItem::delete_module_any_version(&a, &"m".parse().unwrap()),
            BulkItem::delete_any_version(&"b".parse().unwrap()),
        ]
    }

    fn outcome(successful: bool, errors: &Value, warnings: &Value) -> BulkOutcome {
        let body = json!({"isSuccessful": successful, "errors": errors, "warnings": warnings});
        BulkOutcome::from_json(&items(), body.to_string().as_bytes()).unwrap()
    }

    /// `ok`, `twin`, the error's name or number, or `?` for each item.
    fn words(outcome: &BulkOutcome) -> Vec<String> {
        let word = |item: &ItemOutcome| match item {
            ItemOutcome::Applied => "ok".to_owned(),
            ItemOutcome::AppliedWithoutTwin => "twin".to_owned(),
            ItemOutcome::Failed(error) => format!("{:?}", error.kind()),
            ItemOutcome::Unknown => "?".to_owned(),
        };
        outcome.items().iter().map(word).collect()
    }

    #[test]
    fn a_success_applied_everything() {
        let outcome = outcome(true, &json!([]), &json!([]));
        assert!(outcome.is_applied(), "{outcome:?}");
    }

    #[test]
    fn errors_are_assigned_by_device_and_module_and_codes_may_be_names_or_numbers() {
        let errors = json!([
            {"deviceId": "a", "moduleId": "m", "errorCode": 404_010, "errorStatus": "m"},
            {"deviceId": "b", "errorCode": "PreconditionFailed", "errorStatus": "key"},
        ]);
        let outcome = outcome(false, &errors, &json!([]));
        assert_eq!(words(&outcome), ["ok", "NotFound", "PreconditionFailed"]);
        let ItemOutcome::Failed(error) = &outcome.items()[1] else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            (error.name(), error.number()),
            (Some("ModuleNotFound"), Some(404_010))
        );
        assert_eq!(error.effect(), Effect::None);
        assert!(
            !format!("{outcome:?}").contains("key"),
            "free text stays out"
        );
    }

    #[test]
    fn an_error_without_a_module_may_mean_the_devices_only_item() {
        let module =
            BulkItem::delete_module_any_version(&"a".parse().unwrap(), &"m".parse().unwrap());
        let body = br#"{"isSuccessful":false,"errors":[{"deviceId":"a","errorCode":404010}]}"#;
        let outcome = BulkOutcome::from_json(&[module], body).unwrap();
        assert_eq!(words(&outcome), ["NotFound"]);
    }

    #[test]
    fn a_warning_is_a_twin_that_was_not_made() {
        let warnings = json!([{"deviceId": "b", "warningCode": "DeviceRegisteredWithoutTwin"}]);
        assert_eq!(
            words(&outcome(true, &json!([]), &warnings)),
            ["ok", "ok", "twin"]
        );
    }

    #[test]
    fn a_failure_of_nobody_leaves_the_rest_unknown() {
        let stranger = json!([
            {"deviceId": "x", "errorCode": "ServerError"},
            {"deviceId": "b", "errorCode": "DeviceNotFound"},
        ]);
        let mixed = outcome(false, &stranger, &json!([]));
        assert_eq!(words(&mixed), ["?", "?", "NotFound"]);
        assert_eq!(mixed.unassigned()[0].kind(), Kind::Transient);
        assert_eq!(
            words(&outcome(false, &json!([]), &json!([]))),
            ["?", "?", "?"]
        );
    }

    #[test]
    fn a_code_nobody_knows_says_nothing_about_the_remedy() {
        let errors = json!([{"deviceId": "b", "errorCode": "Novelty"}, {"deviceId": "a"}]);
        let outcome = outcome(false, &errors, &json!([]));
        assert_eq!(words(&outcome), ["Malformed", "ok", "Malformed"]);
    }

    #[test]
    fn a_body_without_a_verdict_is_no_outcome() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"isSuccessful":"yes"}"#,
            r#"{"Message":"x"}"#,
        ] {
            assert!(
                BulkOutcome::from_json(&items(), body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_item_has_an_outcome_whatever_is_answered(
            bytes in any::<Vec<u8>>(),
            device in "[abx]?", module in "[mn]?", code in ".{0,8}",
        ) {
            let _ = BulkOutcome::from_json(&items(), &bytes);
            let entry = json!([{"deviceId": device, "moduleId": module, "errorCode": code}]);
            let outcome = outcome(false, &entry, &entry);
            prop_assert_eq!(outcome.items().len(), 3);
            prop_assert!(!outcome.is_applied());
        }
    }
}
