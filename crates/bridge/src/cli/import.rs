//! Arguments of `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifecycle::TenantId;

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Takes over the hubs and devices of Mender's iot-manager, out of its MongoDB.
    ///
    /// Its credentials are sealed with our key, and its devices become ours: from then on their
    /// identities follow Mender. Nothing in the hub is changed and nothing is delivered for a device
    /// that is as Mender wants it; the others are put right by the worker. The old database is only
    /// read.
    ///
    /// A device is taken over if iot-manager has a row of it and its twin bears the tag `mender: true`,
    /// which iot-manager sets last. Whatever else is found is left as it is, and told with the reason.
    ///
    /// May be interrupted and repeated, and workers may run meanwhile. Exit code 1 says that
    /// something went wrong, so that it should be repeated, and not that something was left out.
    IotManager(ImportIotManager),
}

#[derive(Debug, Args)]
pub(crate) struct ImportIotManager {
    /// Only look, and show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only this tenant's hub and devices.
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
    /// File with the connection string of the MongoDB. Without it the variables of iot-manager are
    /// used: IOT_MANAGER_MONGO_URL (or its default, mongodb://mender-mongo:27017), _MONGO_USERNAME,
    /// _MONGO_PASSWORD, _MONGO_SSL, _MONGO_SSL_SKIPVERIFY.
    #[arg(long, value_name = "FILE")]
    pub(crate) mongo_uri_file: Option<PathBuf>,
    /// Name of iot-manager's database.
    #[arg(long, value_name = "NAME", default_value = "iot_manager")]
    pub(crate) database: String,
    /// File with the key that iot-manager seals with, instead of variable
    /// IOT_MANAGER_AES_ENCRYPTION_KEY. Without a key only credentials stored in clear are read.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// File with the key it had before, instead of IOT_MANAGER_AES_ENCRYPTION_FALLBACK_KEY.
    #[arg(long, value_name = "FILE")]
    pub(crate) fallback_key_file: Option<PathBuf>,
}
