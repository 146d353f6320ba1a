//! Role: laptop.
