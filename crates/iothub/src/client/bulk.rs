//! Bulk calls.

use http::StatusCode;

use super::Hub;
use crate::bulk::{BulkItem, BulkOutcome};
use crate::error::Result;
use crate::request;
use crate::transport::Manner;

/// # Many changes in one call
///
/// Microsoft's page: [Import and export identities in bulk](https://learn.microsoft.com/azure/iot-hub/iot-hub-bulk-identity-mgmt).
impl Hub {
    /// Changes 1 to 100 identities, modules and twins. The call is no transaction: look at the
    /// outcome of each item. Each counts as one registry operation of the hub's throttle. The new
    /// ETags are not told.
    ///
    /// It is an error only if the call as a whole was refused or has no readable answer.
    ///
    /// ```no_run
    /// use iothub::{BulkItem, ItemOutcome, NewIdentity};
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let items = [
    ///     BulkItem::create(&NewIdentity::new("dev-1".parse()?))?,
    ///     BulkItem::delete(&"dev-2".parse()?, "NzI3ODk0ODYz")?,
    /// ];
    /// let outcome = hub.bulk(&items).await?;
    /// for (item, became) in items.iter().zip(outcome.items()) {
    ///     if let ItemOutcome::Failed(error) = became {
    ///         println!("{}: {error}", item.device_id());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn bulk(&self, items: &[BulkItem]) -> Result<BulkOutcome> {
        let manner = Manner {
            takes_400: true,
            ..Manner::default()
        };
        let request = request::bulk(self.host(), items)?;
        let answer = self.0.send_as(request, manner).await?;
        let outcome = BulkOutcome::from_json(items, &answer.body);
        if answer.status == StatusCode::BAD_REQUEST {
            // Without a result in it, the call as a whole was wrong.
            return outcome.map_err(|_| answer.refusal());
        }
        outcome
    }
}
