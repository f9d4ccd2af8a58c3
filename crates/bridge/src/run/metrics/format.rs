//! In which format the page is wanted, and the one from before OpenMetrics.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Format {
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>, for what knows nothing else.
    Text,
}

impl Format {
    /// What whoever asks likes better; OpenMetrics if they do not care.
    pub(in crate::run) fn wanted(headers: &HeaderMap) -> Self {
        let (mut open, mut text) = (None, None);
        let accepted = headers.get_all(header::ACCEPT).iter();
        for range in accepted.filter_map(|value| value.to_str().ok()) {
            for range in range.split(',') {
                let (kind, quality) = accepted_range(range);
                match kind.as_str() {
                    "application/openmetrics-text" => open = open.max(Some(quality)),
                    "text/plain" | "text/*" => text = text.max(Some(quality)),
                    _ => {}
                }
            }
        }
        match (open, text) {
            (None, Some(1..)) => Self::Text,
            (Some(open), Some(text)) if text > open => Self::Text,
            _ => Self::OpenMetrics,
        }
    }

    pub(in crate::run) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The page, which is OpenMetrics, in this format.
    pub(super) fn of(self, page: String) -> String {
        match self {
            Self::OpenMetrics => page,
            Self::Text => older(&page),
        }
    }
}

/// A media range and its quality in thousandths.
fn accepted_range(range: &str) -> (String, u32) {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f64>().ok());
    let thousandths = quality.map_or(1_000.0, |quality| quality.clamp(0.0, 1.0) * 1_000.0);
    // Between 0 and 1000.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    (kind, thousandths.round() as u32)
}

/// The same page as it was before OpenMetrics: samples are the same, but there are no units, no end, a
/// counter is called like its samples, and what says only what something is, is a gauge.
fn older(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    // HELP stands before TYPE, but its name depends on it.
    let mut help = None;
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), said) => help = Some((name, said)),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                let said = help.take().filter(|(of, _)| *of == name);
                let said = said.and_then(|(_, said)| said).unwrap_or_default();
                // Only OpenMetrics escapes quotes here.
                let said = said.replace("\\\"", "\"");
                // Writing into a `String` cannot fail.
                let _ = writeln!(text, "# HELP {name}{suffix} {said}");
                let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
            }
            (Some("#"), ..) => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &str) -> Format {
        let value = accept.parse().unwrap();
        Format::wanted(&HeaderMap::from_iter([(header::ACCEPT, value)]))
    }

    #[test]
    fn whoever_knows_openmetrics_gets_it() {
        // Prometheus 2.42, one from before 2.5, curl, a browser.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(wanted(prometheus), Format::OpenMetrics);
        let old = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3";
        assert_eq!(wanted(old), Format::Text);
        assert_eq!(wanted("*/*"), Format::OpenMetrics);
        assert_eq!(wanted("text/plain"), Format::Text);
        assert_eq!(
            wanted("text/plain;q=0.9, Application/OpenMetrics-Text; q=0.2"),
            Format::Text
        );
        assert_eq!(wanted("text/plain;q=0"), Format::OpenMetrics);
        assert_eq!(wanted(";;q=x,,"), Format::OpenMetrics);
        assert_eq!(Format::wanted(&HeaderMap::new()), Format::OpenMetrics);
    }

    #[test]
    fn the_older_format_has_the_same_samples_under_names_of_its_own() {
        let page = "# HELP a So \\\"many\\\".\n# TYPE a counter\na_total{x=\"# EOF\"} 1\n\
                    # HELP b_seconds How long.\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 0.5\n\
                    # HELP c What.\n# TYPE c info\nc_info{version=\"1\"} 1\n# EOF\n";
        let expected = "# HELP a_total So \"many\".\n# TYPE a_total counter\na_total{x=\"# EOF\"} 1\n\
                        # HELP b_seconds How long.\n# TYPE b_seconds gauge\nb_seconds 0.5\n\
                        # HELP c_info What.\n# TYPE c_info gauge\nc_info{version=\"1\"} 1\n";
        assert_eq!(Format::Text.of(page.to_owned()), expected);
        assert_eq!(Format::OpenMetrics.of(page.to_owned()), page);
    }
}
