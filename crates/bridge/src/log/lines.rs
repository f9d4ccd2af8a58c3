//! Makes a line of each event.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::fields::{CONTEXT, Fields};
use super::repeats::Repeats;
use super::shape::Shape;

/// Writes lines of one shape.
pub(super) struct Lines<W> {
    shape: Shape,
    to: W,
    repeats: Mutex<Repeats>,
}

/// What a span says of whom it is about.
struct Known(Map<String, Value>);

impl Known {
    fn learn(&mut self, said: Fields) {
        let context = |name: &String| CONTEXT.contains(&name.as_str());
        self.0
            .extend(said.values.into_iter().filter(|(name, _)| context(name)));
    }
}

impl<W> Lines<W> {
    pub(super) fn new(shape: Shape, to: W) -> Self {
        Self {
            shape,
            to,
            repeats: Mutex::default(),
        }
    }
}

impl<W: for<'w> MakeWriter<'w>> Lines<W> {
    fn write(&self, metadata: &Metadata<'_>, fields: &Fields, left_out: u64) {
        let time = format!("{:.6}", jiff::Timestamp::now());
        let line = self.shape.line(&time, metadata, fields, left_out);
        // In one piece, so that lines of two threads do not mix. If it fails there is nobody to tell.
        let _ = self.to.make_writer().write_all(line.as_bytes());
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut said = Fields::default();
        attributes.record(&mut said);
        let mut known = Known(Map::new());
        known.learn(said);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(known);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let mut said = Fields::default();
        record.record(&mut said);
        if let Some(span) = context.span(id)
            && let Some(known) = span.extensions_mut().get_mut::<Known>()
        {
            known.learn(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(known) = span.extensions().get::<Known>() {
                fields.inherit(&known.0);
            }
        }
        let (told, over) = {
            let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let told = repeats.tell(event.metadata(), &fields, now);
            (told, repeats.over(now))
        };
        for (line, left_out) in over {
            self.write(line.metadata, &line.fields, left_out);
        }
        if let Some(left_out) = told {
            self.write(event.metadata(), &fields, left_out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::log::repeats::EVERY;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        /// What `log` logs in this shape, without the times.
        fn of(shape: Shape, log: impl FnOnce()) -> Vec<String> {
            let page = Self::default();
            let to = page.clone();
            let lines = Lines::new(shape, move || to.clone());
            let subscriber = tracing_subscriber::registry().with(lines);
            tracing::subscriber::with_default(subscriber, log);
            let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    fn after_time(line: &str) -> &str {
        line.split_once(' ').unwrap().1
    }

    const HOSTILE: &str = "a\nb\r\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2028}\"=\\";

    #[test]
    fn a_line_says_whom_it_is_about_and_what_the_trace_is() {
        let log = || {
            let span = tracing::error_span!(
                "event",
                tenant = "t",
                device = "d",
                event = "W-1",
                trace_id = tracing::field::Empty,
                secret = "not shown"
            );
            span.record("trace_id", "4bf9");
            let _inside = span.enter();
            tracing::info_span!("request", tenant = "t").in_scope(|| {
                tracing::info!(outcome = "applied", n = 3, device = "other", "event ended");
            });
        };
        let text = Page::of(Shape::Text, log);
        let fields = "device=other event=W-1 n=3 outcome=applied tenant=t trace_id=4bf9";
        let target = module_path!();
        assert_eq!(
            after_time(&text[0]),
            format!(" INFO {target}: event ended {fields}")
        );
        let json: Value = serde_json::from_str(&Page::of(Shape::Json, log)[0]).unwrap();
        let told = [
            "level", "message", "tenant", "device", "event", "trace_id", "outcome",
        ];
        let told = told.map(|name| json[name].as_str().unwrap());
        assert_eq!(
            told,
            [
                "INFO",
                "event ended",
                "t",
                "other",
                "W-1",
                "4bf9",
                "applied"
            ]
        );
        assert!(
            json["timestamp"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok()
        );
    }

    #[test]
    fn nothing_of_the_input_controls_the_terminal_or_forges_a_line() {
        for shape in [Shape::Text, Shape::Json] {
            let lines = Page::of(shape, || {
                tracing::warn!(reason = HOSTILE, debug = ?HOSTILE, display = %HOSTILE, "refused: {HOSTILE}");
            });
            assert_eq!(lines.len(), 1, "{lines:?}");
            let harmless = |c: char| !c.is_control() && !('\u{2028}'..='\u{202e}').contains(&c);
            assert!(lines[0].chars().all(harmless), "{:?}", lines[0]);
            if shape == Shape::Json {
                let json: Value = serde_json::from_str(&lines[0]).unwrap();
                assert_eq!(json["reason"], HOSTILE, "nothing is lost");
            }
        }
        let quoted = Page::of(Shape::Text, || {
            tracing::info!(a = "x tenant=t", b = "", "said");
        });
        assert!(
            quoted[0].ends_with(r#"a="x tenant=t" b="""#),
            "{}",
            quoted[0]
        );
    }

    #[test]
    fn only_the_level_of_a_coloured_line_is_coloured() {
        let lines = Page::of(Shape::Coloured, || {
            tracing::error!(reason = "\u{1b}[31m", "no");
        });
        assert_eq!(lines[0].matches('\u{1b}').count(), 2, "{:?}", lines[0]);
        assert!(lines[0].contains("\u{1b}[31mERROR\u{1b}[0m"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_is_told_once_a_minute_for_each_tenant_and_hub() {
        let page = Page::default();
        let to = page.clone();
        let lines = Lines::new(Shape::Text, move || to.clone());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
        let trouble = |tenant: &str| tracing::warn!(tenant, hub = "h", "no answer");
        let said = || String::from_utf8(std::mem::take(&mut *page.0.lock().unwrap())).unwrap();
        for _ in 0..3 {
            trouble("one");
            trouble("other");
            tracing::info!(tenant = "one", "event ended");
        }
        let text = said();
        assert_eq!(text.matches("no answer").count(), 2, "{text}");
        assert_eq!(
            text.matches("event ended").count(),
            3,
            "decisions are all told: {text}"
        );
        tokio::time::advance(EVERY).await;
        trouble("one");
        let text = said();
        // The other tenant's trouble is over, and what was left out of it is told too.
        for tenant in ["one", "other"] {
            let line = format!("no answer hub=h tenant={tenant} left_out=2");
            assert_eq!(text.matches(&line).count(), 1, "{tenant}: {text}");
        }
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
