"""Tests of the tests: each bug that a site may have is found by the test that is there for it."""

import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
#: Which test finds what, in a run of these three.
TESTS = {
    "skip-challenge": "test_relying_party.py::test_a_replayed_answer_is_refused",
    "lose-credential": "test_relying_party.py::test_register_and_sign_in",
    "ignore-uv": "test_scenarios.py::test_a_phone_that_does_not_say_that_it_verified",
}


def failed(bug):
    """The tests that fail at a site with the bug."""
    program = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rf", "-q", *TESTS.values()]
    environment = {**os.environ, "CABLED_TESTBED_LOOPS": "1"}
    if bug:
        environment["RELYING_PARTY_BUG"] = bug
    ended = subprocess.run(program, cwd=HERE, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == (1 if bug else 0), ended.stdout
    return set(re.findall(r"^FAILED (\S+)", ended.stdout, re.MULTILINE)), ended.stdout


def test_a_good_site_passes():
    assert failed(None)[0] == set()


@pytest.mark.parametrize("bug", TESTS)
def test_a_bug_is_found(bug):
    found, output = failed(bug)
    assert TESTS[bug] in found, output
    # A site that loses every passkey has no sign-in to replay; otherwise nothing else is wrong.
    assert bug == "lose-credential" or found == {TESTS[bug]}, output
