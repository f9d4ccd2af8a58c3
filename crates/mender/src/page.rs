//! Paging by the `Link` header (RFC 8288).
//!
//! Only the page number is taken from it: where to ask is our own knowledge, not the answer's.

use reqwest::header::{HeaderMap, LINK};

/// The page after `current`, or `None` after the last one.
pub(crate) fn next_page(headers: &HeaderMap, current: u32) -> Result<Option<u32>, &'static str> {
    let mut links = Vec::new();
    for value in headers.get_all(LINK) {
        links.extend(
            value
                .to_str()
                .map_err(|_| "the Link header is no text")?
                .split(','),
        );
    }
    let Some(target) = links.into_iter().find_map(target_of_next) else {
        return Ok(None);
    };
    match page_in(target) {
        Some(page) if page > current => Ok(Some(page)),
        Some(_) => Err("the next page is not a later one"),
        None => Err("the next page has no number"),
    }
}

/// `<target>; rel="next"`.
fn target_of_next(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = |parameter: &str| {
        let Some((name, value)) = parameter.trim().split_once('=') else {
            return false;
        };
        name.eq_ignore_ascii_case("rel") && value.trim_matches('"') == "next"
    };
    parameters.split(';').any(is_next).then_some(target)
}

fn page_in(target: &str) -> Option<u32> {
    let (_, query) = target.split_once('?')?;
    let page = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("page="))?;
    page.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(links: &[&'static str], expected: Result<Option<u32>, &'static str>) {
        let mut headers = HeaderMap::new();
        for link in links {
            headers.append(LINK, link.parse().expect("a header"));
        }
        assert_eq!(next_page(&headers, 2), expected);
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let first = r#"<devices?page=1&per_page=20>; rel="first""#;
        let next = r#"<devices?per_page=20&page=3>; rel="next""#;
        check(&[first, next], Ok(Some(3)));
        check(
            &[r#"<http://other/x?page=1>;rel="prev", <http://other/x?page=3>;rel=next"#],
            Ok(Some(3)),
        );
    }

    #[test]
    fn the_last_page_has_no_next() {
        check(&[r#"<devices?page=1&per_page=20>; rel="first""#], Ok(None));
        check(&[], Ok(None));
    }

    #[test]
    fn links_that_lead_in_circles_are_refused() {
        check(
            &[r#"<devices?page=2>; rel="next""#],
            Err("the next page is not a later one"),
        );
        check(
            &[r#"<devices?per_page=3>; rel="next""#],
            Err("the next page has no number"),
        );
    }
}
