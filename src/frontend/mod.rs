//! Front ends: an outer protocol on one side, the service of a role on the other. They know nothing of
//! radios, channels or the hybrid protocol.

#[cfg(feature = "web")]
pub mod web;
