//! Options that several commands share.

use std::path::PathBuf;

use clap::Args;

use super::failure::{Failure, Status};
use super::proxies::ProxyText;
use super::{advice, proxies, radio};
use crate::ble::{Radio, RadioSpec};
use crate::channel::proxy::Proxies;
use crate::channel::tls::Trust;
use crate::channel::websocket::Connector;
use crate::hybrid::qr::SCHEME;
use crate::hybrid::tunnel::ServiceUrl;

/// Options of the whole program.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Print results and events as JSON, one object to a line
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Print only results, questions and errors
    #[arg(long, short, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Log what happens inside to standard error: -v for steps, -vv for details
    #[arg(long, short, global = true, help_heading = "Output", action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Radio and tunnel service: what laptop and phone both need.
#[derive(Args, Clone, Debug)]
pub(crate) struct Link {
    /// Bluetooth; shared, the one of another machine (see cabled radio), which weakens the proximity check;
    /// or a simulated radio between processes on this machine: air:DIR
    #[arg(long, value_name = "RADIO", default_value = "bluez", env = "CABLED_RADIO")]
    radio: RadioSpec,
    /// Use this Bluetooth adapter, such as hci1, and not the first one
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    #[command(flatten)]
    network: Network,
    /// Let a simulated radio be used with the public tunnel services, where it proves nothing
    #[arg(long)]
    pub(crate) simulated_with_public: bool,
}

/// The way to the tunnel service.
#[derive(Args, Clone, Debug)]
pub(crate) struct Network {
    /// Use this tunnel service, such as ws://127.0.0.1:4433, in place of the public ones
    #[arg(long, value_name = "URL", env = "CABLED_RELAY")]
    relay: Option<ServiceUrl>,
    /// Believe the certificate authorities in this PEM file too
    #[arg(long, value_name = "FILE", env = "CABLED_CA")]
    ca: Option<PathBuf>,
    /// Go through this HTTP proxy, http://[USER:PASSWORD@]HOST:PORT, or through none; without this
    /// option HTTPS_PROXY, ALL_PROXY and NO_PROXY decide, where other users cannot see a password
    #[arg(long, value_name = "URL|none")]
    proxy: Option<ProxyText>,
}

impl Link {
    /// Whether anything of it was chosen, and is not as usual.
    pub(crate) fn is_named(&self) -> bool {
        let Network { relay, ca, proxy } = &self.network;
        let usual = matches!(self.radio, RadioSpec::Bluez { adapter: None });
        let named = self.adapter.is_some() || relay.is_some() || ca.is_some() || proxy.is_some();
        named || !usual || self.simulated_with_public
    }

    /// The radio. Call it inside of the runtime.
    pub(crate) fn radio(&self) -> Result<Radio, Failure> {
        Radio::open(&self.spec()?).map_err(|error| advice::radio(&error))
    }

    /// `--adapter hci1` is another way to say `--radio bluez:hci1`.
    fn spec(&self) -> Result<RadioSpec, Failure> {
        let Some(adapter) = &self.adapter else { return Ok(radio::placed(&self.radio)) };
        let wrong = |error: &str, hint| Err(Failure::new(Status::Usage, error, hint));
        match &self.radio {
            RadioSpec::Bluez { adapter: named } if named.as_ref().is_none_or(|n| n == adapter) => {
                format!("bluez:{adapter}").parse().or_else(|_| {
                    let error = format!("{adapter:?} is no Bluetooth adapter");
                    wrong(&error, "write hci0, hci1 and so on; see: bluetoothctl list")
                })
            }
            RadioSpec::Bluez { .. } => {
                wrong("--radio and --adapter name two Bluetooth adapters", "name one of them")
            }
            _ => wrong(
                "a simulated or shared radio has no Bluetooth adapter",
                "leave out --adapter, or use --radio bluez",
            ),
        }
    }

    /// As [`Network::relay`].
    pub(crate) fn relay(&self) -> Option<&ServiceUrl> {
        self.network.relay()
    }

    /// The connector for all that these options say.
    pub(crate) fn connector(&self) -> Result<Connector, Failure> {
        let choice = self.network.proxies()?;
        if let (Some(proxy), Some(source)) = (choice.proxies.proxy(), choice.source) {
            tracing::debug!("{source} names the proxy {proxy}");
        }
        Ok(self.network.connector(choice.proxies))
    }
}

impl Network {
    /// The tunnel service to use whatever an advert says.
    pub(crate) fn relay(&self) -> Option<&ServiceUrl> {
        self.relay.as_ref()
    }

    /// The proxies of `--proxy` or of the environment.
    pub(crate) fn proxies(&self) -> Result<proxies::Choice, Failure> {
        let variable = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        proxies::choose(self.proxy.as_ref(), variable)
    }

    /// Whose certificates are believed: the system's authorities and those of `--ca`.
    pub(crate) fn trust(&self) -> Trust {
        self.ca.clone().map_or(Trust::System, Trust::SystemAnd)
    }

    /// A connector that goes through these proxies.
    pub(crate) fn connector(&self, proxies: Proxies) -> Connector {
        Connector::new(self.trust()).with_proxies(proxies)
    }
}

/// Reads a file, or standard input for `-`, of at most `limit` bytes.
///
/// # Errors
///
/// [`Status::Storage`] when it cannot be read, [`Status::Usage`] when it is longer.
pub(crate) fn read_input(path: &std::path::Path, limit: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes),
        false => {
            std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        }
    };
    read.map_err(|error| {
        let error = format!("cannot read {}: {error}", path.display());
        Failure::new(
            Status::Storage,
            error,
            "name a file that you may read, or - for standard input",
        )
    })?;
    if bytes.len() as u64 > limit {
        let error = format!("{} is longer than {limit} bytes", path.display());
        return Err(Failure::new(Status::Usage, error, "this is not the file that was meant"));
    }
    Ok(bytes)
}

/// Longest standard input that is searched for a `FIDO:/` text, in bytes.
const MAX_FIDO_INPUT: u64 = 64 << 10;

/// Reads standard input up to the first line that begins with `FIDO:/`, and gives that line without
/// waiting for more: whoever writes it may stay and write other things. All that came, if there is
/// no such line.
///
/// # Errors
///
/// [`Status::Storage`] when standard input cannot be read.
pub(crate) fn read_fido_text() -> Result<String, Failure> {
    use std::io::Read;
    find_fido_line(std::io::stdin().lock().take(MAX_FIDO_INPUT)).map_err(|error| {
        let hint = "pipe the code's text into the command, or pass it as an argument";
        Failure::new(Status::Storage, format!("cannot read standard input: {error}"), hint)
    })
}

fn find_fido_line(input: impl std::io::Read) -> std::io::Result<String> {
    use std::io::BufRead;
    let mut all = String::new();
    for line in std::io::BufReader::new(input).lines() {
        let line = line?;
        let scheme = line.trim_start().get(..SCHEME.len());
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
            return Ok(line);
        }
        all.push_str(&line);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_code_is_found_among_others() {
        let input = "Scan this code.\n  fido:/123\nmore\n";
        assert_eq!(find_fido_line(input.as_bytes()).unwrap(), "  fido:/123");
        assert_eq!(find_fido_line("no\ncode".as_bytes()).unwrap(), "nocode");
        assert_eq!(find_fido_line("".as_bytes()).unwrap(), "");
    }
}
