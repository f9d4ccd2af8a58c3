//! Calls Mender's internal HTTP services.
