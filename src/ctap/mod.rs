//! CTAP2 messages: pure codec.
