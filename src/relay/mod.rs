//! Role: tunnel service.
