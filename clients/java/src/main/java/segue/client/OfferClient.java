package segue.client;

import com.google.common.util.concurrent.FutureCallback;
import com.google.common.util.concurrent.Futures;
import com.google.common.util.concurrent.ListenableFuture;
import com.google.common.util.concurrent.MoreExecutors;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;
import segue.offers.v1.BatchLookupRequest;
import segue.offers.v1.BatchLookupResponse;
import segue.offers.v1.LookupRequest;
import segue.offers.v1.OfferLookupGrpc;
import segue.offers.v1.OfferLookupGrpc.OfferLookupBlockingStub;
import segue.offers.v1.OfferLookupGrpc.OfferLookupFutureStub;

/**
 * Asks the lookup service what to offer an account now. Safe to share between threads: open one and keep it.
 *
 * <p>Calls that fail for the moment are tried again within the timeout, as the client's service config says.
 */
public final class OfferClient implements AutoCloseable {

  /** How long a lookup may take, tries included, unless the builder is told otherwise. */
  public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(2);

  private static final Duration LONGEST_TIMEOUT = Duration.ofDays(1);

  private final ManagedChannel channel;
  private final OfferLookupBlockingStub blocking;
  private final OfferLookupFutureStub future;
  private final Duration timeout;

  private OfferClient(ManagedChannel channel, List<ClientInterceptor> interceptors, Duration timeout) {
    ClientInterceptor[] each = interceptors.toArray(ClientInterceptor[]::new);
    this.channel = channel;
    this.blocking = OfferLookupGrpc.newBlockingStub(channel).withInterceptors(each);
    this.future = OfferLookupGrpc.newFutureStub(channel).withInterceptors(each);
    this.timeout = timeout;
  }

  /**
   * A client of the service at an address, over TLS unless it is told otherwise.
   *
   * @param address {@code host:port}, or a target of gRPC's name resolution
   */
  public static Builder builder(String address) {
    return new Builder(address);
  }

  /**
   * What to offer one account now.
   *
   * @throws LookupException there is no answer; its class and {@code isRetryable} say what to do
   */
  public Answer lookup(String accountId) {
    return Answers.of(call(() -> within(blocking).lookup(one(accountId))));
  }

  /**
   * What to offer several accounts now: one answer each, in the order asked, all from one generation.
   *
   * @throws LookupException as {@link #lookup}; also for more accounts than the service takes in one batch
   */
  public List<Answer> lookupAll(List<String> accountIds) {
    return answers(call(() -> within(blocking).batchLookup(several(accountIds))));
  }

  /** As {@link #lookup}, without waiting. Completes exceptionally with the same; cancelling it ends the call. */
  public CompletableFuture<Answer> lookupAsync(String accountId) {
    return completable(() -> within(future).lookup(one(accountId)), Answers::of);
  }

  /** As {@link #lookupAll}, without waiting. Completes exceptionally with the same; cancelling it ends the call. */
  public CompletableFuture<List<Answer>> lookupAllAsync(List<String> accountIds) {
    return completable(() -> within(future).batchLookup(several(accountIds)), OfferClient::answers);
  }

  /** Takes no more calls, and waits as long as one may take for those on their way. */
  @Override
  public void close() {
    channel.shutdown();
    try {
      if (!channel.awaitTermination(timeout.toNanos(), TimeUnit.NANOSECONDS)) {
        channel.shutdownNow();
      }
    } catch (InterruptedException interrupted) {
      channel.shutdownNow();
      Thread.currentThread().interrupt();
    }
  }

  private <S extends io.grpc.stub.AbstractStub<S>> S within(S stub) {
    return stub.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS);
  }

  private static LookupRequest one(String accountId) {
    return LookupRequest.newBuilder().setAccountId(encodable(accountId)).build();
  }

  private static BatchLookupRequest several(List<String> accountIds) {
    accountIds.forEach(OfferClient::encodable);
    return BatchLookupRequest.newBuilder().addAllAccountIds(accountIds).build();
  }

  /** The id itself. Of one that is no UTF-8 protobuf would make another account's, with a question mark in it. */
  private static String encodable(String accountId) {
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(accountId)) {
      Status refused = Status.INVALID_ARGUMENT.withDescription(
        "an account id with an unpaired surrogate; ids are UTF-8"
      );
      throw LookupException.of(refused.asRuntimeException());
    }
    return accountId;
  }

  private static List<Answer> answers(BatchLookupResponse response) {
    return response.getAnswersList().stream().map(Answers::of).toList();
  }

  private static <T> T call(Supplier<T> method) {
    try {
      return method.get();
    } catch (StatusRuntimeException error) {
      throw LookupException.of(error);
    }
  }

  private static <T, R> CompletableFuture<R> completable(
    Supplier<ListenableFuture<T>> method,
    Function<T, R> read
  ) {
    CompletableFuture<R> result = new CompletableFuture<>();
    ListenableFuture<T> call;
    try {
      call = method.get();
    } catch (LookupException refused) {
      result.completeExceptionally(refused);
      return result;
    }
    FutureCallback<T> told = new FutureCallback<>() {
      @Override
      public void onSuccess(T response) {
        try {
          result.complete(read.apply(response));
        } catch (RuntimeException error) {
          result.completeExceptionally(error);
        }
      }

      @Override
      public void onFailure(Throwable error) {
        result.completeExceptionally(
          error instanceof StatusRuntimeException failed ? LookupException.of(failed) : error
        );
      }
    };
    Futures.addCallback(call, told, MoreExecutors.directExecutor());
    result.whenComplete((answer, error) -> {
      if (result.isCancelled()) {
        call.cancel(true);
      }
    });
    return result;
  }

  /** How a client reaches the service. */
  public static final class Builder {

    private static final Metadata.Key<String> AUTHORIZATION = Metadata.Key.of(
      "authorization",
      Metadata.ASCII_STRING_MARSHALLER
    );

    private final String address;
    private final TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    private boolean isPlaintext;
    private String token;
    private Duration timeout = DEFAULT_TIMEOUT;
    private Map<String, ?> serviceConfig = ServiceConfig.shared();

    private Builder(String address) {
      this.address = Objects.requireNonNull(address, "address");
    }

    /** Without TLS: for a service on this machine. */
    public Builder plaintext() {
      isPlaintext = true;
      return this;
    }

    /**
     * Trusts the authorities of a PEM file instead of those that Java trusts.
     *
     * @throws IOException the file cannot be read
     */
    public Builder trust(Path authorities) throws IOException {
      tls.trustManager(authorities.toFile());
      return this;
    }

    /**
     * Shows a certificate to a service that asks for one.
     *
     * @throws IOException a file cannot be read
     */
    public Builder clientCertificate(Path chain, Path privateKey) throws IOException {
      tls.keyManager(chain.toFile(), privateKey.toFile());
      return this;
    }

    /**
     * The caller's token, sent with each call.
     *
     * @throws IllegalArgumentException it can be in no header; gRPC would log it and call without
     */
    public Builder token(String token) {
      if (token != null && !token.chars().allMatch(each -> each >= 0x20 && each < 0x7f)) {
        throw new IllegalArgumentException(
          "the token has a line break or another character that no header can have"
        );
      }
      this.token = token;
      return this;
    }

    /**
     * How long a lookup may take, tries included.
     *
     * @throws IllegalArgumentException it is not positive, or more than a day
     */
    public Builder timeout(Duration timeout) {
      if (timeout.isNegative() || timeout.isZero() || timeout.compareTo(LONGEST_TIMEOUT) > 0) {
        throw new IllegalArgumentException("a timeout of " + timeout);
      }
      this.timeout = timeout;
      return this;
    }

    /**
     * Another service config than the clients' own, for example one that hedges.
     *
     * @throws IOException the file cannot be read
     */
    public Builder serviceConfig(Path json) throws IOException {
      serviceConfig = ServiceConfig.read(json);
      return this;
    }

    /** The client; connects when it is first asked. */
    public OfferClient build() {
      ChannelCredentials credentials = isPlaintext ? InsecureChannelCredentials.create() : tls.build();
      ManagedChannel channel = Grpc.newChannelBuilder(address, credentials)
        .defaultServiceConfig(serviceConfig)
        .disableServiceConfigLookUp()
        .enableRetry()
        // a batch may have more than gRPC's 4 MiB in answers
        .maxInboundMessageSize(Integer.MAX_VALUE)
        // a router that forgets a connection sends no reset: calls would wait for TCP to give up
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .build();
      return new OfferClient(channel, token == null ? List.of() : List.of(bearer(token)), timeout);
    }

    private static ClientInterceptor bearer(String token) {
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + token);
      return MetadataUtils.newAttachHeadersInterceptor(headers);
    }
  }
}
