"""Counters for Prometheus; no label ever holds what a caller sent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.requests = Counter(
            "unipixel_requests",
            "Requests by route and status",
            ["method", "route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "unipixel_request_seconds", "From a request's arrival to its end", ["route"], registry=registry
        )
        self.batch = Histogram(
            "unipixel_batch_questions",
            "Questions taken up together",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.shared = Histogram(
            "unipixel_frames_together",
            "Clips whose next frames were decoded together",
            buckets=(2, 4, 8, 16, 32),
            registry=registry,
        )
        self.tokens = Counter("unipixel_tokens", "Tokens read and written", ["kind"], registry=registry)
        self.waiting = Gauge("unipixel_waiting", "Requests that wait for the model", registry=registry)
        self.active = Gauge("unipixel_active", "Requests that the model works on", registry=registry)
        self.sessions = Gauge("unipixel_sessions", "Sessions kept", registry=registry)
        self.clip_bytes = Gauge("unipixel_clip_bytes", "Memory of clips that were read", registry=registry)
        self.file_bytes = Gauge("unipixel_file_bytes", "Bytes of uploaded files", registry=registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
