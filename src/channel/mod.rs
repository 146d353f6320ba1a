//! Message pipes.
