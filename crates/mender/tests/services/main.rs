//! The clients against a server that answers in every way it should and should not.

mod deviceauth;
mod deviceconfig;
mod rbac;
mod support;
