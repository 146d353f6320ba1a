//! What the site refuses although the phone has saved it, and how that is cleared.
