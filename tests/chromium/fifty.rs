//! One browser, many ceremonies, none of which may fail; and how long they take.
