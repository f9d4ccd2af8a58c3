//! Where traces go.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretText;

/// OpenTelemetry traces, sent to a collector by OTLP over HTTP; none, unless `otlp_endpoint` is set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Telemetry {
    /// Address of the collector, `http://` or `https://`; spans go to `/v1/traces` below it.
    #[schemars(example = &"http://collector:4318")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Value of the header `Authorization` for it; better in a file.
    pub(crate) otlp_authorization: Option<SecretText>,
    /// File with that value.
    #[schemars(example = &"/etc/mender-iothub/otlp.authorization")]
    pub(crate) otlp_authorization_file: Option<PathBuf>,
    /// Share of the events that are traced, from 0 to 1. An event whose header `traceparent` says
    /// whether it is, is traced as that says.
    pub(crate) sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_authorization: None,
            otlp_authorization_file: None,
            sample_ratio: 1.0,
        }
    }
}

impl Telemetry {
    /// What cannot work is told at the start.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err("`telemetry.sample_ratio` must be from 0 to 1".to_owned());
        }
        Ok(())
    }
}
