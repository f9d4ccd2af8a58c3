//! The address of a service, checked once.
//!
//! What follows the prefix is always put together from encoded parts, so a base URL may hold
//! nothing that could change their meaning: no query, no fragment, and no user name, which would
//! be a secret in a place that gets logged.

use reqwest::Url;

/// Why a text is no base URL. It never quotes the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It is no URL at all.
    #[error("not a URL")]
    NotAUrl,
    /// Neither `http` nor `https`.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// User name or password.
    #[error("may not hold a user name or a password")]
    UserInfo,
    /// A `?` or `#` part.
    #[error("may not hold a query or a fragment")]
    Extra,
}

/// `http://mender-deviceconfig:8080`, or with a path in front of the service's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl(Url);

impl BaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let mut url = Url::parse(text).map_err(|_| BaseUrlError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BaseUrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError::Extra);
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&prefix);
        Ok(Self(url))
    }

    /// The URL of `path` (encoded, beginning with `/`) and `query` (encoded, may be empty).
    pub(crate) fn join(&self, path: &str, query: &str) -> Url {
        let mut url = self.0.clone();
        let prefix = url.path().trim_end_matches('/');
        let path = format!("{prefix}{path}");
        url.set_path(&path);
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn joined(base: &str, expected: &str) {
        let base = BaseUrl::parse(base).expect("a base URL");
        assert_eq!(base.join("/a//b", "c=d").as_str(), expected);
    }

    #[test]
    fn an_empty_segment_stays() {
        joined("http://host:8080", "http://host:8080/a//b?c=d");
    }

    #[test]
    fn a_prefix_is_kept_and_its_last_slash_is_not_doubled() {
        joined("https://host/mender/", "https://host/mender/a//b?c=d");
        joined("https://host/mender", "https://host/mender/a//b?c=d");
        joined("https://host/", "https://host/a//b?c=d");
    }

    #[track_caller]
    fn refused(text: &str, expected: BaseUrlError) {
        assert_eq!(BaseUrl::parse(text), Err(expected));
    }

    #[test]
    fn what_could_change_the_meaning_of_a_path_is_refused() {
        refused("deviceconfig:8080/x", BaseUrlError::Scheme);
        refused("", BaseUrlError::NotAUrl);
        refused("http://", BaseUrlError::NotAUrl);
        refused("ftp://host", BaseUrlError::Scheme);
        refused("http://user@host", BaseUrlError::UserInfo);
        refused("http://:secret@host", BaseUrlError::UserInfo);
        refused("http://host/?x", BaseUrlError::Extra);
        refused("http://host/#x", BaseUrlError::Extra);
    }
}
