#include "server/services/inference_service.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "server/core/models/linear_head.h"
#include "server/core/models/selector.h"
#include "server/services/inference_codec.h"
#include "server/services/unary_call.h"

namespace attune::services {
namespace {

constexpr absl::string_view kService = "InferenceService";

// What is tokenised in a callback: more would hold up gRPC's threads.
constexpr int kMaxInlineTexts = 16;
constexpr size_t kMaxInlineBytes = 4096;

using ServedVersion = std::shared_ptr<const core::ServedVersion>;

bool IsShort(const v1::EmbedTextsRequest& request) {
  return request.texts_size() <= kMaxInlineTexts &&
         request.ByteSizeLong() <= kMaxInlineBytes;
}

// Begins an inference call: admits it, then runs `body` on the executor with
// the scope of the call. `body` sees to it that the call ends.
template <typename Request>
grpc::ServerUnaryReactor* Begin(
    const CallEnvironment& environment, absl::string_view method,
    grpc::CallbackServerContext* context, const Request& request,
    absl::AnyInvocable<void(UnaryCall*, const core::CallScope&)> body,
    absl::FunctionRef<bool(UnaryCall*)> try_inline) {
  const CallName name = {kService, method};
  auto* call = new UnaryCall(environment, name);
  absl::Status admitted = AdmitCall(environment, name, *context,
                                    request.ByteSizeLong(), kMaxInferenceBytes);
  if (!admitted.ok()) {
    call->Done(admitted);
    return call;
  }
  if (try_inline(call)) return call;
  const absl::Time deadline = CallDeadline(*context);
  const bool submitted = environment.executor->Submit(
      [call, deadline, body = std::move(body)]() mutable {
        const core::CallScope scope{.timeout = deadline - absl::Now(),
                                    .cancellation = call->cancellation()};
        if (call->cancelled()) {
          call->Done(absl::CancelledError("the client cancelled the call"));
        } else if (scope.timeout <= absl::ZeroDuration()) {
          call->Done(absl::DeadlineExceededError(
              "the deadline passed before the call was begun"));
        } else {
          body(call, scope);
        }
      });
  if (!submitted) call->Done(DrainingError());
  return call;
}

template <typename Request>
std::optional<double> Knob(const Request& request) {
  return request.has_t() ? std::optional(request.t()) : std::nullopt;
}

// Ends a call with embeddings, changed by the version's head where it has one:
// on the executor, since this thread may be one that must not compute for long.
void Answer(const CallEnvironment& environment, UnaryCall* call,
            const ServedVersion& version, double t,
            absl::StatusOr<core::Embeddings> embeddings,
            google::protobuf::RepeatedPtrField<v1::Embedding>* out) {
  if (!embeddings.ok()) return call->Done(embeddings.status());
  if (t == 0) {
    Encode(*embeddings, out);
    return call->Done(absl::OkStatus());
  }
  const bool submitted = environment.executor->Submit(
      [call, version, t, embeddings = *std::move(embeddings), out]() mutable {
        version->head->Apply(t, absl::MakeSpan(embeddings.values));
        Encode(embeddings, out);
        call->Done(absl::OkStatus());
      });
  if (!submitted) call->Done(DrainingError());
}

constexpr auto kNeverInline = [](UnaryCall*) { return false; };

// The two answers of Compare on their way.
struct PendingComparison {
  PendingComparison(UnaryCall* call, QueryView view)
      : call(call), view(std::move(view)) {}

  UnaryCall* const call;
  const QueryView view;
  std::atomic<int> missing = 2;
  absl::Status status[2];

  void Arrived() {
    if (missing.fetch_sub(1) > 1) return;
    call->Done(status[0].ok() ? status[1] : status[0]);
  }
};

}  // namespace

grpc::ServerUnaryReactor* InferenceService::EmbedImages(
    grpc::CallbackServerContext* context, const v1::EmbedImagesRequest* request,
    v1::EmbedImagesResponse* response) {
  return Begin(
      environment_, "EmbedImages", context, *request,
      [this, request, response](UnaryCall* call, const core::CallScope& scope) {
        if (absl::Status status = ValidateImages(request->images());
            !status.ok()) {
          return call->Done(status);
        }
        auto version = resolver_.Resolve("version", request->version());
        if (!version.ok()) return call->Done(version.status());
        const auto t = core::ResolveKnob((*version)->head.has_value(),
                                         Knob(*request), "t");
        if (!t.ok()) return call->Done(t.status());
        response->set_version(core::VersionName((*version)->version));
        const std::vector<absl::string_view> images(request->images().begin(),
                                                    request->images().end());
        embedder_.EmbedImages(
            *version, images, scope,
            [this, call, response, version = *version,
             t = *t](absl::StatusOr<core::Embeddings> embeddings) {
              Answer(environment_, call, version, t, std::move(embeddings),
                     response->mutable_embeddings());
            });
      },
      kNeverInline);
}

grpc::ServerUnaryReactor* InferenceService::EmbedTexts(
    grpc::CallbackServerContext* context, const v1::EmbedTextsRequest* request,
    v1::EmbedTextsResponse* response) {
  const auto validated_rows = [request](const core::ServedVersion& version)
      -> absl::StatusOr<core::TokenRows> {
    ATTUNE_RETURN_IF_ERROR(
        ValidateTexts(request->texts(), version.version.config.embedding_size));
    const std::vector<std::string> texts(request->texts().begin(),
                                         request->texts().end());
    return core::Embedder::Tokenize(version, "texts", texts,
                                    request->truncate());
  };
  const auto try_cache = [&](UnaryCall* call) {
    if (!IsShort(*request)) return false;
    const ServedVersion version = resolver_.Cached(request->version());
    // A head computes longer than a callback may.
    if (version == nullptr || version->head || request->has_t()) return false;
    const auto rows = validated_rows(*version);
    // Errors are told by the executor's path, once.
    if (!rows.ok()) return false;
    const auto embeddings = embedder_.FindTexts(*version, *rows);
    if (!embeddings) return false;
    response->set_version(core::VersionName(version->version));
    Encode(*embeddings, response->mutable_embeddings());
    call->Done(absl::OkStatus());
    return true;
  };
  return Begin(
      environment_, "EmbedTexts", context, *request,
      [this, request, response, validated_rows](UnaryCall* call,
                                                const core::CallScope& scope) {
        auto version = resolver_.Resolve("version", request->version());
        if (!version.ok()) return call->Done(version.status());
        auto rows = validated_rows(**version);
        if (!rows.ok()) return call->Done(rows.status());
        const auto t = core::ResolveKnob((*version)->head.has_value(),
                                         Knob(*request), "t");
        if (!t.ok()) return call->Done(t.status());
        response->set_version(core::VersionName((*version)->version));
        embedder_.EmbedTexts(
            *version, *std::move(rows), scope,
            [this, call, response, version = *version,
             t = *t](absl::StatusOr<core::Embeddings> embeddings) {
              Answer(environment_, call, version, t, std::move(embeddings),
                     response->mutable_embeddings());
            });
      },
      try_cache);
}

grpc::ServerUnaryReactor* InferenceService::ClassifyImages(
    grpc::CallbackServerContext* context,
    const v1::ClassifyImagesRequest* request,
    v1::ClassifyImagesResponse* response) {
  return Begin(
      environment_, "ClassifyImages", context, *request,
      [this, request, response](UnaryCall* call, const core::CallScope& scope) {
        absl::Status status = ValidateImages(request->images());
        if (status.ok()) {
          status = ValidateScores(request->images_size(), request->labels(),
                                  request->top_k());
        }
        if (!status.ok()) return call->Done(status);
        auto version = resolver_.Resolve("version", request->version());
        if (!version.ok()) return call->Done(version.status());
        const auto t = core::ResolveKnob((*version)->head.has_value(),
                                         Knob(*request), "t");
        if (!t.ok()) return call->Done(t.status());
        response->set_version(core::VersionName((*version)->version));
        auto view = std::make_shared<QueryView>(
            request->images(), request->labels(), request->templates(),
            request->top_k(), request->truncate());
        classifier_.Classify(
            *std::move(version), view->query(*t), scope,
            [call, request, response,
             view](absl::StatusOr<std::vector<core::Classification>> answer) {
              if (answer.ok()) Encode(*answer, request->labels(), response);
              call->Done(answer.status());
            });
      },
      kNeverInline);
}

grpc::ServerUnaryReactor* InferenceService::Compare(
    grpc::CallbackServerContext* context, const v1::CompareRequest* request,
    v1::CompareResponse* response) {
  return Begin(
      environment_, "Compare", context, *request,
      [this, request, response](UnaryCall* call, const core::CallScope& scope) {
        absl::Status status = ValidateImages(request->images());
        if (status.ok()) {
          // There are two answers.
          status = ValidateScores(2 * int64_t{request->images_size()},
                                  request->labels(), request->top_k());
        }
        if (!status.ok()) return call->Done(status);
        auto version = resolver_.Resolve("version", request->version());
        if (!version.ok()) return call->Done(version.status());
        auto against = resolver_.Resolve("against", request->against());
        if (!against.ok()) return call->Done(against.status());
        auto pending = std::make_shared<PendingComparison>(
            call, QueryView(request->images(), request->labels(),
                            request->templates(), request->top_k(),
                            request->truncate()));
        const ServedVersion versions[] = {*std::move(version),
                                          *std::move(against)};
        double knobs[2];
        const bool has_head = versions[0]->head || versions[1]->head;
        for (int i = 0; i < 2; ++i) {
          // A version without a head takes no part in the knob.
          const bool asked = versions[i]->head || !has_head;
          const auto t =
              core::ResolveKnob(versions[i]->head.has_value(),
                                asked ? Knob(*request) : std::nullopt, "t");
          if (!t.ok()) return call->Done(t.status());
          knobs[i] = *t;
        }
        v1::ClassifyImagesResponse* const answers[] = {
            response->mutable_answer(), response->mutable_against_answer()};
        for (int i = 0; i < 2; ++i) {
          answers[i]->set_version(core::VersionName(versions[i]->version));
          classifier_.Classify(
              versions[i], pending->view.query(knobs[i]), scope,
              [pending, request, out = answers[i],
               i](absl::StatusOr<std::vector<core::Classification>> answer) {
                if (answer.ok()) Encode(*answer, request->labels(), out);
                pending->status[i] = answer.status();
                pending->Arrived();
              });
        }
      },
      kNeverInline);
}

}  // namespace attune::services
