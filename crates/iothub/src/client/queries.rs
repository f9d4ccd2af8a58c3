//! Queries.

use futures::stream::Stream;

use super::Hub;
use crate::error::Result;
use crate::query::{self, Continuation, Page, Query, Row};
use crate::request;
use crate::twin::Twin;

/// # Queries
///
/// Microsoft's page: [IoT Hub query language](https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language).
///
/// What a query finds may be minutes old: new devices are missing, deleted ones still listed. Use
/// [`Hub::device`] to learn whether one exists.
impl Hub {
    /// The rows of a query, page after page as they are needed. The stream ends after an error.
    ///
    /// ```no_run
    /// use futures::TryStreamExt as _;
    /// use iothub::Query;
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let query = Query::new("SELECT deviceId FROM devices WHERE connectionState = 'Connected'")?;
    /// let mut rows = std::pin::pin!(hub.query(query.page_size(100)?));
    /// while let Some(row) = rows.try_next().await? {
    ///     println!("{}", row.fields["deviceId"]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn query(&self, query: Query) -> impl Stream<Item = Result<Row>> + Send + use<> {
        query::rows(self.clone(), query)
    }

    /// The twins that a query selects whole (`SELECT * FROM devices` or `devices.modules`). A query
    /// for anything else fails with [`crate::Kind::Malformed`].
    ///
    /// ```no_run
    /// use futures::TryStreamExt as _;
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let query = iothub::Query::new("SELECT * FROM devices WHERE tags.site = 'north'")?;
    /// let twins: Vec<iothub::Twin> = hub.query_twins(query).try_collect().await?;
    /// println!("{}", twins.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn query_twins(&self, query: Query) -> impl Stream<Item = Result<Twin>> + Send + use<> {
        query::twins(self.query(query))
    }

    /// One page of a query: the first, or the one after `continuation`. For callers that show
    /// pages to people; others use [`Hub::query`].
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let query = iothub::Query::new("SELECT * FROM devices")?.page_size(20)?;
    /// let first = hub.query_page(&query, None).await?;
    /// if let Some(continuation) = first.continuation {
    ///     hub.query_page(&query, Some(&continuation)).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn query_page(
        &self,
        query: &Query,
        continuation: Option<&Continuation>,
    ) -> Result<Page> {
        let request = request::query(self.host(), query, continuation)?;
        Page::of_query(&self.0.send(request).await?)
    }
}
