//! Radio.
