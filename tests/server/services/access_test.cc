// Every RPC against every kind of credentials, over gRPC.

#include "server/services/access.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/services/access_table.h"
#include "storage/sqlite/sqlite_stores.h"
#include "tests/server/services/fake_worker.h"
#include "tests/server/services/server_fixture.h"
#include "tests/test_util/status_matchers.h"

namespace attune::services {
namespace {

using ::attune::storage::Role;
using ::attune::test::HasError;
using ::attune::test::IsOk;
using ::testing::SizeIs;

constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;
constexpr auto kPermissionDenied = absl::StatusCode::kPermissionDenied;

const std::map<Role, std::string> kRoleNames = {{Role::kUser, "user"},
                                                {Role::kWorker, "worker"},
                                                {Role::kOperator, "operator"}};

// Every RPC of the project.
std::vector<const google::protobuf::MethodDescriptor*> Methods() {
  // The generated code registers its file when it is used.
  v1::InferenceService::service_full_name();
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const char* file : {"dataset_service", "job_service", "model_service",
                           "inference_service", "worker_service"}) {
    const auto* descriptor =
        google::protobuf::DescriptorPool::generated_pool()->FindFileByName(
            absl::StrCat("attune/v1/", file, ".proto"));
    EXPECT_NE(descriptor, nullptr) << file;
    for (int i = 0; i < descriptor->service_count(); ++i) {
      for (int j = 0; j < descriptor->service(i)->method_count(); ++j) {
        methods.push_back(descriptor->service(i)->method(j));
      }
    }
  }
  return methods;
}

TEST(AccessTable, EveryRpcHasAnEntry) {
  const auto methods = Methods();
  EXPECT_THAT(methods, SizeIs(testing::Ge(48u)));
  for (const auto* method : methods) {
    EXPECT_FALSE(RolesOf(method->service()->name(), method->name()).empty())
        << method->full_name()
        << ": say in server/services/access_table.cc who may call it";
  }
}

TEST(AccessTable, WhatHasNoEntryIsNobodys) {
  EXPECT_TRUE(RolesOf("JobService", "Unheard").empty());
  EXPECT_TRUE(RolesOf("", "").empty());
}

class AccessTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.require_auth = true;
    StartServer(options);
  }

  // In the server's database, from beside it; known to the server when this
  // returns.
  std::string CreateKey(const std::string& name, Role role) {
    auto key = core::CreateApiKey(*State(), name, role, absl::Now());
    EXPECT_THAT(key, IsOk());
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (Call("JobService", "ListJobs", *key).code() == kUnauthenticated &&
           absl::Now() < end) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    return *key;
  }

  std::unique_ptr<storage::StateStore> State() {
    auto store = storage::OpenStateStore(folder_.File("data/state.db"),
                                         {.migrate = false});
    EXPECT_THAT(store, IsOk());
    return *std::move(store);
  }

  // Calls any RPC with one empty request and this authorization, "" for none.
  absl::Status CallWith(absl::string_view service, absl::string_view method,
                        const std::vector<std::string>& authorization) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
    for (const std::string& value : authorization) {
      context.AddMetadata("authorization", value);
    }
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(
        &context, absl::StrCat("/attune.v1.", service, "/", method), &queue);
    // Whether the operation that was begun went well.
    const auto await = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(nullptr);
    grpc::Status status;
    if (await()) {
      const grpc::Slice empty;
      call->WriteLast(grpc::ByteBuffer(&empty, 1), grpc::WriteOptions(),
                      nullptr);
      await();
      grpc::ByteBuffer response;
      do {
        call->Read(&response, nullptr);
      } while (await());
    }
    call->Finish(&status, nullptr);
    await();
    queue.Shutdown();
    return FromGrpcStatus(status);
  }

  absl::Status Call(absl::string_view service, absl::string_view method,
                    const std::string& key) {
    return CallWith(service, method, {absl::StrCat("Bearer ", key)});
  }
};

TEST_F(AccessTest, EveryRpcRefusesCallersWithoutCredentials) {
  for (const auto* method : Methods()) {
    EXPECT_THAT(CallWith(method->service()->name(), method->name(), {}),
                HasError(kUnauthenticated, "CREDENTIALS_MISSING"))
        << method->full_name();
  }
}

TEST_F(AccessTest, EveryRpcIsOpenToTheRolesOfTheTableAndToNoOther) {
  for (const auto& [role, name] : kRoleNames) {
    const std::string key = CreateKey(name, role);
    for (const auto* method : Methods()) {
      const std::string& service = method->service()->name();
      const absl::Status status = Call(service, method->name(), key);
      if (RolesOf(service, method->name()).Has(role)) {
        EXPECT_NE(status.code(), kUnauthenticated) << method->full_name();
        EXPECT_NE(status.code(), kPermissionDenied) << method->full_name();
      } else {
        EXPECT_THAT(status, HasError(kPermissionDenied, "ROLE_NOT_ALLOWED"))
            << name << " and " << method->full_name();
      }
    }
  }
}

TEST_F(AccessTest, MalformedCredentialsAreRefused) {
  const std::string key = CreateKey("user", Role::kUser);
  const auto list = [this](const std::vector<std::string>& authorization) {
    return CallWith("JobService", "ListJobs", authorization);
  };
  EXPECT_THAT(list({"bearer " + key}), IsOk());
  for (const std::string& header : {key, "Basic " + key, std::string(),
                                    std::string("Bearer"), "Bearer" + key}) {
    EXPECT_THAT(list({header}),
                HasError(kUnauthenticated, "CREDENTIALS_MALFORMED"))
        << header;
  }
  EXPECT_THAT(list({"Bearer " + key, "Bearer " + key}),
              HasError(kUnauthenticated, "CREDENTIALS_MALFORMED"));
  EXPECT_THAT(list({"Bearer  " + key}),
              HasError(kUnauthenticated, "KEY_INVALID"));
  EXPECT_THAT(list({"Bearer " + std::string(4000, 'k')}),
              HasError(kUnauthenticated, "KEY_INVALID"));
}

TEST_F(AccessTest, ARevokedKeyEndsItsOpenStreams) {
  const std::string key = CreateKey("worker", Role::kWorker);
  FakeWorker::Options options;
  options.api_key = key;
  FakeWorker worker(server_->address(), options);
  ASSERT_THAT(core::RevokeApiKey(*State(), "worker", absl::Now()), IsOk());
  EXPECT_THAT(FromGrpcStatus(worker.AwaitEnd()),
              HasError(kUnauthenticated, "KEY_REVOKED"));
  EXPECT_THAT(Call("WorkerService", "Heartbeat", key),
              HasError(kUnauthenticated, "KEY_REVOKED"));
}

class OpenAccessTest : public AccessTest {
 protected:
  void SetUp() override { StartServer({}); }
};

TEST_F(OpenAccessTest,
       TheFirstKeyClosesTheServerAndItsRevocationDoesNotOpenIt) {
  EXPECT_THAT(CallWith("JobService", "ListJobs", {}), IsOk());
  EXPECT_THAT(Call("JobService", "ListJobs", "anything"), IsOk());
  const auto key =
      core::CreateApiKey(*State(), "first", Role::kUser, absl::Now());
  ASSERT_THAT(key, IsOk());
  const auto await = [this](const std::vector<std::string>& authorization,
                            const std::string& reason) {
    absl::Status status;
    for (int i = 0; i < 1000 && ErrorReason(status) != reason; ++i) {
      absl::SleepFor(absl::Milliseconds(20));
      status = CallWith("JobService", "ListJobs", authorization);
    }
    EXPECT_THAT(status, HasError(kUnauthenticated, reason));
  };
  await({}, "CREDENTIALS_MISSING");
  EXPECT_THAT(Call("JobService", "ListJobs", *key), IsOk());
  ASSERT_THAT(core::RevokeApiKey(*State(), "first", absl::Now()), IsOk());
  await({"Bearer " + *key}, "KEY_REVOKED");
  EXPECT_THAT(CallWith("JobService", "ListJobs", {}),
              HasError(kUnauthenticated, "CREDENTIALS_MISSING"));
}

}  // namespace
}  // namespace attune::services
