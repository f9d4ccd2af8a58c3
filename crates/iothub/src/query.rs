//! Queries: their text, their pages, and the stream that walks them.
//!
//! The hub's index lags behind by seconds or minutes, also with devices that are gone, so a query
//! finds candidates and never proves that something exists. Pages end when the hub sends no
//! continuation, and not when one is short or empty: both happen in the middle.

mod text;

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, Stream, TryStreamExt as _};
use http::{HeaderValue, Request};
use serde_json::{Map, Value};

pub use text::literal;

use crate::client::Hub;
use crate::error::{Error, Result};
use crate::transport::Answer;
use crate::twin::Twin;

/// Longest text of a query, in characters.
pub const MAX_QUERY: usize = 8192;
/// Largest page that may be asked for. The hub may send fewer rows; its own limit is documented as
/// 100 in newer places and 1000 in older ones.
pub const MAX_PAGE: u16 = 1000;

pub(crate) const CONTINUATION: &str = "x-ms-continuation";
pub(crate) const MAX_ITEM_COUNT: &str = "x-ms-max-item-count";
const ITEM_TYPE: &str = "x-ms-item-type";

/// A query, and how many rows a page may have.
///
/// ```
/// use iothub::{Query, query};
///
/// let site = "O'Hare";
/// let text = format!("SELECT deviceId FROM devices WHERE tags.site = {}", query::literal(site));
/// assert!(text.ends_with(r"= 'O\'Hare'"));
/// let query = Query::new(text)?.page_size(100)?;
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    text: String,
    page_size: Option<u16>,
}

impl Query {
    /// A query with pages as large as the hub likes. Refused if longer than [`MAX_QUERY`].
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if text.trim().is_empty() || text.chars().count() > MAX_QUERY {
            return Err(Error::invalid("a query has 1 to 8192 characters"));
        }
        Ok(Self {
            text,
            page_size: None,
        })
    }

    /// The same query with pages of at most so many rows, 1 to [`MAX_PAGE`].
    pub fn page_size(mut self, rows: u16) -> Result<Self> {
        if !(1..=MAX_PAGE).contains(&rows) {
            return Err(Error::invalid("a page has 1 to 1000 rows"));
        }
        self.page_size = Some(rows);
        Ok(self)
    }

    /// The text in the query language.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rows of a page, if that is limited.
    #[must_use]
    pub fn page_rows(&self) -> Option<u16> {
        self.page_size
    }
}

/// What the rows of a query are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemType {
    /// Whole twins of devices or modules (`SELECT *`).
    Twin,
    /// Selected fields or aggregates.
    Raw,
    /// What a job did on a device (`FROM devices.jobs`).
    DeviceJob,
    /// Something else, or the hub did not say (then it is empty).
    Other(String),
}

impl ItemType {
    fn of(answer: &Answer) -> Self {
        match answer.header(ITEM_TYPE).unwrap_or_default() {
            text if text.eq_ignore_ascii_case("twin") => Self::Twin,
            text if text.eq_ignore_ascii_case("raw") => Self::Raw,
            text if text.eq_ignore_ascii_case("deviceJob") => Self::DeviceJob,
            text => Self::Other(text.to_owned()),
        }
    }
}

/// A row of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is.
    pub item_type: ItemType,
    /// Its fields.
    pub fields: Map<String, Value>,
}

impl Row {
    /// The row as a twin, if it is one.
    pub fn into_twin(self) -> Result<Twin> {
        match self.item_type {
            ItemType::Twin => Twin::from_fields(self.fields),
            _ => Err(Error::malformed("the query does not select whole twins")),
        }
    }
}

/// Some rows of a query and the way to the next ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What the rows are.
    pub item_type: ItemType,
    /// The rows, possibly none.
    pub rows: Vec<Map<String, Value>>,
    /// What to send for the next page, if there may be one.
    pub continuation: Option<Continuation>,
}

/// The hub's mark of where a query stands. Good for the same query only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation(HeaderValue);

impl Continuation {
    /// The mark as the hub wrote it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Takes up a mark that was kept.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        HeaderValue::from_bytes(bytes)
            .map(Self)
            .map_err(|_| Error::invalid("the continuation cannot be a header"))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl Page {
    fn read(answer: &Answer) -> Result<Self> {
        let rows = serde_json::from_slice(&answer.body)
            .map_err(|_| Error::malformed("the body is no JSON array of objects"))?;
        Ok(Self {
            item_type: ItemType::of(answer),
            rows,
            continuation: continuation(answer),
        })
    }

    pub(crate) fn of_query(answer: &Answer) -> Result<Self> {
        Self::read(answer)
    }

    /// A page of jobs: an array with the continuation in a header, or an object with both in it.
    /// Azure's description says the object and its clients read the array, so both are taken.
    pub(crate) fn of_jobs(answer: &Answer) -> Result<Self> {
        let Ok(body) = serde_json::from_slice::<JobPage>(&answer.body) else {
            return Self::read(answer);
        };
        let inside = body.continuation_token.filter(|token| !token.is_empty());
        let inside = inside.map(|token| Continuation::from_bytes(token.as_bytes()));
        Ok(Self {
            item_type: ItemType::of(answer),
            rows: body.items,
            continuation: continuation(answer).or(inside.transpose()?),
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobPage {
    items: Vec<Map<String, Value>>,
    continuation_token: Option<String>,
}

fn continuation(answer: &Answer) -> Option<Continuation> {
    let value = answer.headers.get(CONTINUATION)?;
    (!value.is_empty()).then(|| Continuation(value.clone()))
}

/// What a walk over pages asks and reads.
pub(crate) trait Pages: Send {
    /// The request for the page after `continuation`.
    fn request(&self, hub: &Hub, after: Option<&Continuation>) -> Result<Request<Bytes>>;
    /// Reads the page.
    fn read(&self, answer: &Answer) -> Result<Page>;
}

/// Where a walk stands.
struct Walk<P> {
    hub: Hub,
    pages: P,
    ready: VecDeque<Row>,
    next: Next,
}

enum Next {
    Page(Option<Continuation>),
    End,
}

/// The rows of all pages, each page fetched when the rows before it are used up. After an error
/// the stream ends.
pub(crate) fn rows<P: Pages>(hub: Hub, pages: P) -> impl Stream<Item = Result<Row>> + Send {
    let walk = Walk {
        hub,
        pages,
        ready: VecDeque::new(),
        next: Next::Page(None),
    };
    stream::try_unfold(walk, |mut walk| async move {
        loop {
            if let Some(row) = walk.ready.pop_front() {
                return Ok(Some((row, walk)));
            }
            match std::mem::replace(&mut walk.next, Next::End) {
                Next::Page(after) => walk.fetch(after).await?,
                Next::End => return Ok(None),
            }
        }
    })
}

impl<P: Pages> Walk<P> {
    async fn fetch(&mut self, after: Option<Continuation>) -> Result<()> {
        let request = self.pages.request(&self.hub, after.as_ref())?;
        let answer = self.hub.0.send(request).await?;
        let page = self.pages.read(&answer)?;
        if page.continuation.is_some() && page.continuation == after {
            return Err(Error::malformed("the query does not move on"));
        }
        let item_type = page.item_type;
        self.ready = page
            .rows
            .into_iter()
            .map(|fields| Row {
                item_type: item_type.clone(),
                fields,
            })
            .collect();
        if let Some(continuation) = page.continuation {
            self.next = Next::Page(Some(continuation));
        }
        Ok(())
    }
}

impl Pages for Query {
    fn request(&self, hub: &Hub, after: Option<&Continuation>) -> Result<Request<Bytes>> {
        crate::request::query(hub.host(), self, after)
    }

    fn read(&self, answer: &Answer) -> Result<Page> {
        Page::of_query(answer)
    }
}

pub(crate) fn twins(
    rows: impl Stream<Item = Result<Row>> + Send,
) -> impl Stream<Item = Result<Twin>> + Send {
    rows.and_then(|row| async { row.into_twin() })
}
