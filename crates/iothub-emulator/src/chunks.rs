//! A response body made piece by piece, so that a long one never sits in memory whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

/// A body that asks for its next piece when there is room to send it.
pub(crate) struct Chunks(Box<dyn Iterator<Item = Bytes> + Send>);

impl Chunks {
    /// The pieces of an iterator.
    pub(crate) fn of(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        Self(Box::new(pieces))
    }

    /// A body in one piece.
    pub(crate) fn whole(text: String) -> Self {
        Self::of(std::iter::once(Bytes::from(text)).filter(|piece| !piece.is_empty()))
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(piece))))
    }
}
