"""What a token must allow for each method: one table. A method that is not in it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Scope(StrEnum):
    """What a token allows. ADMIN allows all."""

    ANALYZE = "analyze"
    FEEDBACK = "feedback"
    ADMIN = "admin"


# By the method's full name. Health is open: probes and load balancers carry no tokens.
OPEN = frozenset({"grpc.health.v1.Health.Check", "grpc.health.v1.Health.Watch"})

# None is any valid token. What tells of all callers' conversations, or reads the server's disk,
# is for administrators: recordings under the roots belong to no one token. FEEDBACK is for people
# who label: it shows them texts without personal data, where the store keeps content.
SCOPES: Mapping[str, Scope | None] = {
    "emotion.v1.EmotionService.AnalyzeEmotion": Scope.ANALYZE,
    "emotion.v1.EmotionService.AnalyzeConversation": Scope.ANALYZE,
    "emotion.v1.EmotionService.StreamCall": Scope.ANALYZE,
    "emotion.v1.EmotionService.BatchAnalyzeCalls": Scope.ADMIN,
    "google.longrunning.Operations.GetOperation": Scope.ADMIN,
    "google.longrunning.Operations.ListOperations": Scope.ADMIN,
    "google.longrunning.Operations.CancelOperation": Scope.ADMIN,
    "google.longrunning.Operations.DeleteOperation": Scope.ADMIN,
    "google.longrunning.Operations.WaitOperation": Scope.ADMIN,
    "emotion.v1.FeedbackService.CreateFeedback": Scope.FEEDBACK,
    "emotion.v1.FeedbackService.ListFeedback": Scope.FEEDBACK,
    "emotion.v1.FeedbackService.ListReviewItems": Scope.FEEDBACK,
    "emotion.v1.AlertService.ListAlerts": Scope.ADMIN,
    "emotion.v1.AlertService.StreamAlerts": Scope.ADMIN,
    "emotion.v1.ConversationService.ListConversations": Scope.ADMIN,
    "emotion.v1.ConversationService.GetConversation": Scope.ADMIN,
    "emotion.v1.ConversationService.ListTrends": Scope.ADMIN,
    "emotion.v1.ConversationService.StreamConversations": Scope.ADMIN,
    "emotion.v1.ModelService.ListModels": None,
    "emotion.v1.ModelService.GetModel": None,
    "emotion.v1.ModelService.GetServiceLimits": None,
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": None,
}
