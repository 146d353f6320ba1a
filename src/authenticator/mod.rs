//! Role: phone.
