//! What the service's documents leave open, and what this emulator does unless told otherwise.
//!
//! Each option here is a point where no source settles the behaviour of the real service. A client
//! should work either way, so a test can turn each of them.

use clap::{Args, ValueEnum};

/// What the SDKs reckon with.
const CLOCK_SKEW_SECONDS: u64 = 300;

/// One answer to each open point.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Points that no document of the service settles")]
pub(crate) struct Choices {
    /// How long a token stays good after its expiry, in seconds
    #[arg(long, value_name = "N", default_value_t = CLOCK_SKEW_SECONDS)]
    pub(crate) clock_skew_s: u64,

    /// What a caller from Entra ID gets whose roles do not suffice
    #[arg(long, value_enum, default_value_t = MissingRole::Unauthorized)]
    pub(crate) missing_role: MissingRole,

    /// What becomes of the status when an update leaves it out
    #[arg(long, value_enum, default_value_t = LeftOutStatus::Enabled)]
    pub(crate) update_without_status: LeftOutStatus,

    /// Most devices the hub takes
    #[arg(long, value_name = "N")]
    pub(crate) max_devices: Option<usize>,

    /// What a create gets when there are that many
    #[arg(long, value_enum, default_value_t = FullHub::TooManyDevices)]
    pub(crate) full_hub: FullHub,

    /// What an edit gets that makes a twin too large
    #[arg(long, value_enum, default_value_t = TwinSize::Invalid)]
    pub(crate) twin_too_large: TwinSize,

    /// Answer 415 to a body that does not say it is JSON
    #[arg(long)]
    pub(crate) require_content_type: bool,

    /// How the errors of a bulk call name themselves
    #[arg(long, value_enum, default_value_t = ErrorCode::Number)]
    pub(crate) bulk_error_code: ErrorCode,

    /// Whether an id that stands twice in a bulk call spoils the call or only its later items
    #[arg(long, value_enum, default_value_t = Duplicates::Call)]
    pub(crate) bulk_duplicates: Duplicates,

    /// What an eTag in a bulk item of mode `update` is good for
    #[arg(long, value_enum, default_value_t = UpdateEtag::Ignore)]
    pub(crate) bulk_update_etag: UpdateEtag,

    /// Refuse the modes createOrUpdate and createOrUpdateIfMatchETag outside import files
    #[arg(long)]
    pub(crate) bulk_without_create_or_update: bool,

    /// Scheduled jobs at work or planned at once, instead of what the tier allows
    #[arg(long, value_name = "N")]
    pub(crate) max_jobs: Option<usize>,

    /// The shape of the answer to GET /jobs/v2/query
    #[arg(long, value_enum, default_value_t = JobsShape::Array)]
    pub(crate) jobs_query: JobsShape,

    /// Functions a query may call
    #[arg(long, value_enum, default_value_t = QueryFunctions::All)]
    pub(crate) query_functions: QueryFunctions,

    /// How queries find users' own keys in tags and properties
    #[arg(long, value_enum, default_value_t = QueryKeys::Exact)]
    pub(crate) query_keys: QueryKeys,

    /// Rows in a page if the caller does not say
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = page_size)]
    pub(crate) query_page_default: usize,

    /// Most rows in a page, whatever the caller says
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = page_size)]
    pub(crate) query_page_max: usize,
}

impl Choices {
    /// The part that creates and updates of devices go by.
    pub(crate) fn device_rules(&self) -> DeviceRules {
        DeviceRules {
            left_out_status: self.update_without_status,
            max_devices: self.max_devices,
            full_hub: self.full_hub,
        }
    }

    /// Whether queries find users' keys in any case.
    pub(crate) fn any_case_keys(&self) -> bool {
        self.query_keys == QueryKeys::AnyCase
    }
}

fn page_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 1..=10_000) => Ok(size),
        _ => Err("a page has 1 to 10000 rows".to_owned()),
    }
}

/// How a list of scheduled jobs is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JobsShape {
    /// As the SDKs read it: a list.
    Array,
    /// As in the OpenAPI file: an object with `items`.
    Object,
}

/// The functions of the query language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryFunctions {
    /// Those documented for message routing too, `STARTS_WITH` for one.
    All,
    /// Only `IS_DEFINED` and `ARRAY_CONTAINS`.
    Documented,
}

/// How keys are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueryKeys {
    /// As they are spelled.
    Exact,
    /// In any case, if there is none of the exact spelling.
    AnyCase,
}

/// The status of a call for which the caller has no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MissingRole {
    /// 401.
    #[value(name = "401")]
    Unauthorized,
    /// 403.
    #[value(name = "403")]
    Forbidden,
}

/// What a missing `status` means in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LeftOutStatus {
    /// The device is enabled, as in a create.
    #[default]
    Enabled,
    /// The device keeps its status.
    Kept,
}

/// The refusal of a full hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum FullHub {
    /// 413 `TooManyDevices`.
    #[default]
    TooManyDevices,
    /// 403 `IotHubQuotaExceeded`.
    QuotaExceeded,
}

/// The refusal of a twin that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TwinSize {
    /// 400 `ArgumentInvalid`.
    #[value(name = "400")]
    Invalid,
    /// 413 `RequestEntityTooLarge`.
    #[value(name = "413")]
    TooLarge,
}

/// What creates and updates of devices have to go by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DeviceRules {
    pub(crate) left_out_status: LeftOutStatus,
    pub(crate) max_devices: Option<usize>,
    pub(crate) full_hub: FullHub,
}

/// The form of `errorCode` in the result of a bulk call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorCode {
    /// As in import logs: 404001.
    Number,
    /// As in the OpenAPI file: "DeviceNotFound".
    Name,
}

/// What a repeated id in a bulk call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Duplicates {
    /// The call is refused whole.
    Call,
    /// The first item counts, each further one is an error of its own.
    Item,
}

/// What `eTag` means in mode `update`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UpdateEtag {
    /// Nothing, as the name of the mode suggests.
    Ignore,
    /// As in `updateIfMatchETag`, if it is there.
    Check,
}

#[cfg(test)]
impl Default for Choices {
    fn default() -> Self {
        use clap::FromArgMatches;
        let command = Self::augment_args(clap::Command::new("choices"));
        let matches = command.try_get_matches_from(["choices"]).unwrap();
        Self::from_arg_matches(&matches).unwrap()
    }
}
