//! What the manual says beyond the commands' own help, by page.

/// Where the package puts the README and the folder docs.
pub(crate) const DOCUMENTATION: &str = "/usr/share/doc/cabled/";

/// What is said on one page.
pub(crate) struct Words {
    page: &'static str,
    /// Paragraphs at the end of the description.
    pub(crate) more: &'static [&'static str],
    /// Lines to type, and what they do.
    pub(crate) examples: &'static [(&'static str, &'static str)],
    /// Pages of others, or that are not beside this one.
    pub(crate) see: &'static [&'static str],
}

const fn words(
    page: &'static str,
    more: &'static [&'static str],
    examples: &'static [(&'static str, &'static str)],
    see: &'static [&'static str],
) -> Words {
    Words { page, more, examples, see }
}

/// The words of a page.
pub(crate) fn of(page: &str) -> impl Iterator<Item = &'static Words> {
    WORDS.iter().filter(move |words| words.page == page)
}

/// Finds words for a command that there is not, or not any more.
pub(crate) fn check(pages: &[String]) -> Result<(), String> {
    let named = WORDS
        .iter()
        .map(|words| words.page)
        .chain(FILES.iter().flat_map(|file| file.0.iter().copied()));
    match named.into_iter().find(|named| !pages.iter().any(|page| page == named)) {
        Some(gone) => {
            Err(format!("examples/manual/words.rs speaks of {gone}, and there is no such command"))
        }
        None => Ok(()),
    }
}

/// The files of a page and of those below it, each with what it is for.
pub(crate) fn files(page: &str) -> Vec<(String, String)> {
    let meant = |of: &&str| {
        page == *of
            || page.strip_prefix(*of).is_some_and(|rest| rest.starts_with('-'))
            || page == "cabled"
    };
    let files = FILES.iter().filter(|(pages, ..)| pages.iter().any(&meant));
    files.map(|(_, path, meaning)| ((*path).to_owned(), (*meaning).to_owned())).collect()
}

const FILES: &[(&[&str], &str, &str)] = &[
    (
        &[
            "cabled-daemon",
            "cabled-watch",
            "cabled-touch",
            "cabled-register",
            "cabled-sign-in",
            "cabled-receipts",
        ],
        "$XDG_RUNTIME_DIR/cabled/laptop.sock",
        "The daemon's socket, for its owner only.",
    ),
    (
        &["cabled-daemon", "cabled-register", "cabled-receipts", "cabled-ssh", "cabled-pam"],
        "$XDG_STATE_HOME/cabled/receipts.redb",
        "Receipts of the passkeys that were made through this computer; ~/.local/state where the variable is not set.",
    ),
    (
        &["cabled-phone"],
        "$XDG_RUNTIME_DIR/cabled/phone.sock",
        "The socket of the phone's service, for its owner only.",
    ),
    (
        &["cabled-phone"],
        "$XDG_DATA_HOME/cabled/passkeys.redb",
        "The encrypted store of passkeys; ~/.local/share where the variable is not set.",
    ),
    (
        &["cabled-ssh"],
        "~/.ssh/id_ecdsa_sk, ~/.ssh/id_ecdsa_sk.pub",
        "Where the two files of a key go, unless --file says otherwise.",
    ),
    (
        &["cabled-daemon", "cabled-phone-run"],
        "/dev/uhid",
        "Makes the virtual FIDO2 key of --uhid. A udev rule of the package gives it to whoever sits at the machine.",
    ),
    (
        &["cabled-daemon"],
        "/usr/lib/systemd/user/cabled.socket, cabled.service",
        "Start the daemon when the first program wants it, once they are enabled.",
    ),
    (
        &["cabled-phone-run"],
        "/usr/lib/systemd/user/cabled-phone.socket, cabled-phone.service",
        "Start the phone's service, locked, when the first command wants it, once they are enabled.",
    ),
    (
        &["cabled-relay"],
        "/etc/cabled/relay.toml",
        "Settings of the relay that systemd starts. The package has no such file; you write it.",
    ),
    (
        &["cabled-relay"],
        "/lib/systemd/system/cabled-relay.socket, cabled-relay.service",
        "Run the relay on port 443, once they are enabled.",
    ),
];

/// Variables that are heeded, by a long option of the commands that do.
pub(crate) const VARIABLES: &[(&str, &str, &str)] = &[
    ("proxy", "ALL_PROXY", "The proxy for everything that no other variable names one for."),
    ("proxy", "HTTPS_PROXY", "The HTTP proxy on the way to the tunnel service."),
    ("proxy", "NO_PROXY", "Names and addresses that are reached without a proxy, between commas."),
    ("json", "NO_COLOR", "If set to anything, nothing is coloured."),
    (
        "socket",
        "XDG_RUNTIME_DIR",
        "The folder that the socket is in, unless --socket says otherwise.",
    ),
    (
        "tls-cert",
        "CABLED_RELAY_...",
        "Each option can be a variable: its name in capitals, with underscores, after CABLED_RELAY_. Options win over variables, variables over the file of --config.",
    ),
];

const WORDS: &[Words] = &[
    words(
        "cabled",
        &[
            "Passkeys on a phone reach a computer through FIDO's hybrid transport (CTAP 2.2, formerly caBLE): the \
             computer shows a QR code, the phone scans it and proves over Bluetooth that it is near, and both meet at a \
             tunnel service. Both devices need Bluetooth and internet; with --offline, and a phone that can do it, \
             Bluetooth alone.",
            "cabled is all three parts: the laptop (register, sign-in, daemon), the phone (phone) and the tunnel \
             service (relay). Every failure is one line that begins with error: and names the cause, one that begins \
             with hint: and says what to do, and an exit status.",
        ],
        &[
            (
                "cabled demo",
                "See a registration and a sign-in from end to end, on this machine alone:",
            ),
            ("cabled doctor", "Find out what is wrong with Bluetooth, network or clock:"),
            (
                "systemctl --user enable --now cabled.socket\ncabled watch",
                "Let all programs use the phone, and see their codes on this terminal:",
            ),
        ],
        &["bluetoothctl(1)", "fido2-token(1)", "ssh-keygen(1)"],
    ),
    words(
        "cabled-demo",
        &["It needs neither Bluetooth nor the internet, and keeps nothing."],
        &[],
        &[],
    ),
    words(
        "cabled-register",
        &["The answer is printed on standard output as the JSON that the site's server expects."],
        &[
            ("cabled register --rp-id passkeys.example --user anna", "Try it without a site:"),
            (
                "cabled register --options options.json --origin https://contoso.com",
                "Use the options of a real server; its answer goes back to the server unchanged:",
            ),
        ],
        &["cabled-sign-in(1)", "cabled-daemon(1)"],
    ),
    words(
        "cabled-sign-in",
        &["The answer is printed on standard output as the JSON that the site's server expects."],
        &[("cabled sign-in --rp-id passkeys.example", "Sign in with what cabled register made:")],
        &["cabled-register(1)", "cabled-daemon(1)"],
    ),
    words(
        "cabled-daemon",
        &[
            "It has one radio scan for all programs, and none while nothing is asked. Codes appear wherever cabled \
             watch runs. A transaction is withdrawn when the program that began it lets go. SIGTERM and Ctrl-C end \
             the daemon in order.",
            "With --uhid it is a security key on this machine. Whoever may write /dev/uhid may also make a keyboard \
             that types: the right belongs to people who could plug one in.",
        ],
        &[
            (
                "systemctl --user enable --now cabled.socket",
                "Start it with the first program that wants it:",
            ),
            ("systemctl --user enable --now cabled.service", "Have the virtual key from login on:"),
        ],
        &["cabled-watch(1)", "cabled-touch(1)", "cabled-receipts(1)", "systemctl(1)", "udev(7)"],
    ),
    words("cabled-watch", &[], &[], &["cabled-daemon(1)", "cabled-touch(1)"]),
    words("cabled-touch", &[], &[], &["cabled-daemon(1)", "cabled-watch(1)"]),
    words("cabled-receipts", &[], &[], &["cabled-daemon(1)"]),
    words(
        "cabled-ssh-keygen",
        &[
            "Most phones vouch for nothing about their passkeys, and ssh-keygen refuses such a passkey after the phone \
             has made it. This command does not. Logging in is then the matter of ssh(1) and the virtual key of \
             cabled daemon --uhid. The private file is not encrypted: it names the passkey and holds no secret.",
        ],
        &[(
            "cabled ssh keygen\nssh-copy-id -f -i ~/.ssh/id_ecdsa_sk.pub server",
            "Make a key, and let it in at a server:",
        )],
        &["cabled-daemon(1)", "ssh(1)", "ssh-keygen(1)", "ssh-copy-id(1)"],
    ),
    words(
        "cabled-pam-enroll",
        &[
            "Run it as the user who logs in. Keep a second way to log in: without the phone this one does not work.",
        ],
        &[("cabled pam enroll | sudo tee -a /etc/u2f_mappings", "Add a line for yourself:")],
        &["cabled-daemon(1)", "pam_u2f(8)", "pamu2fcfg(1)"],
    ),
    words(
        "cabled-phone",
        &[
            "While cabled phone run is there, the other commands work through it; otherwise they do the same work themselves.",
        ],
        &[],
        &[],
    ),
    words(
        "cabled-phone-run",
        &[
            "Without a terminal and without --pin-file it starts locked. SIGTERM and Ctrl-C end it in order: laptops \
             that are connected see the phone hang up.",
        ],
        &[(
            "systemctl --user enable --now cabled-phone.socket\ncabled phone unlock",
            "Start it with the first command, and open the store:",
        )],
        &["systemctl(1)"],
    ),
    words(
        "cabled-phone-open",
        &[
            "A desktop calls this for links that begin with FIDO:/, if org.cabled.Phone.desktop is its choice for them. \
             A link is no scan: somebody who begins a sign-in to your account on their own device can send you its code \
             as a link. So it asks first whether you started it, and no option answers for you.",
        ],
        &[(
            "xdg-mime default org.cabled.Phone.desktop x-scheme-handler/fido",
            "Make it the choice of your desktop:",
        )],
        &["xdg-mime(1)"],
    ),
    words(
        "cabled-phone-scan",
        &[],
        &[
            ("cabled phone scan --screen", "Answer the code that is on this screen:"),
            ("cabled phone scan --image screenshot.png", "The same, from a picture:"),
        ],
        &["cabled-phone-passkeys(1)"],
    ),
    words(
        "cabled-relay",
        &[
            "Without --tls-cert and --tls-key it speaks plain ws:// on loopback. SIGTERM drains: new phones are refused, \
             and tunnels that there are go on for as long as --drain allows. Ctrl-C or a second SIGTERM ends them at once. \
             A changed certificate is read again without a restart.",
        ],
        &[
            (
                "cabled relay --config /etc/cabled/relay.toml --check-config",
                "See whether the settings can be used:",
            ),
            (
                "sudo systemctl enable --now cabled-relay.socket cabled-relay.service",
                "Run it as a service, after /etc/cabled/relay.toml is written:",
            ),
        ],
        &["systemctl(1)"],
    ),
    words("cabled-inspect", &[], &[], &["cabled-doctor(1)"]),
    words("cabled-doctor", &[], &[], &["cabled-inspect(1)", "bluetoothctl(1)", "rfkill(8)"]),
];
