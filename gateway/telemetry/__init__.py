"""Every metric name, label and log line of the gateway."""

from prometheus_client.core import Metric

from gateway.telemetry.counts import CONTENT_TYPE, OTHER, Telemetry
from gateway.telemetry.digest import Digester
from gateway.telemetry.families import counter, gauge, info
from gateway.telemetry.log import LogWriter, standard_output
from gateway.telemetry.record import Record

__all__ = [
    "CONTENT_TYPE",
    "OTHER",
    "Digester",
    "LogWriter",
    "Metric",
    "Record",
    "Telemetry",
    "counter",
    "gauge",
    "info",
    "standard_output",
]
