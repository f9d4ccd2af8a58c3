//! What a check has found.

use serde::Serialize;

/// How bad it is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// Something does not work, or can be lost: it must be put right.
    Problem,
    /// It works, and could be better.
    Advice,
    /// It could not be checked from here.
    NotChecked,
    /// As it should be.
    Ok,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked.
    pub(super) check: &'static str,
    pub(super) severity: Severity,
    /// What it means.
    pub(super) what: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn problem(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::Problem, what)
    }

    pub(super) fn advice(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::Advice, what)
    }

    pub(super) fn not_checked(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::NotChecked, what)
    }

    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::Ok, what)
    }

    fn new(check: &'static str, severity: Severity, what: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            what: what.into(),
            advice: None,
        }
    }

    /// The same with what to do about it.
    pub(super) fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn in_words(&self) -> String {
        let mark = match self.severity {
            Severity::Problem => "PROBLEM    ",
            Severity::Advice => "advice     ",
            Severity::NotChecked => "not checked",
            Severity::Ok => "ok         ",
        };
        let advice = self.advice.as_ref();
        let advice = advice.map_or(String::new(), |text| format!("\n             do: {text}"));
        format!("{mark}  {}: {}{advice}", self.check, self.what)
    }
}
