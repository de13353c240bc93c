"""The detectors, one file each. A new one is a file here, a line in `DETECTORS`, and a page in `docs/detectors/`."""

from typing import Final

from excise.detect import (
    address,
    block_replay,
    client,
    displacement,
    echo,
    elicitation,
    flat_rhythm,
    handover,
    header_contradiction,
    kindred,
    lifecycle,
    mail_domain,
    multiplicity,
    no_consumer,
    payment,
    pivot,
    prompt_novelty,
    relay_signature,
    shared_wrapper,
    signup,
    synchrony,
)
from excise.detect.detector import Detector

DETECTORS: Final[tuple[Detector, ...]] = (
    shared_wrapper.DETECTOR,
    elicitation.DETECTOR,
    multiplicity.DETECTOR,
    echo.DETECTOR,
    no_consumer.DETECTOR,
    prompt_novelty.DETECTOR,
    kindred.DETECTOR,
    payment.DETECTOR,
    address.DETECTOR,
    signup.DETECTOR,
    mail_domain.DETECTOR,
    client.DETECTOR,
    header_contradiction.DETECTOR,
    handover.DETECTOR,
    pivot.DETECTOR,
    synchrony.DETECTOR,
    flat_rhythm.DETECTOR,
    lifecycle.DETECTOR,
    displacement.DETECTOR,
    block_replay.DETECTOR,
    relay_signature.DETECTOR,
)
