using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Preflight;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Control;

/// <summary>
/// The control API's client: HTTP over an agent's unix socket. Answers with what was asked for, or throws
/// <see cref="CommandFailedException"/> with the agent's own words and the exit code that fits them.
/// </summary>
public sealed class ControlClient : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    // Several checks of several nodes, each with a limit of its own.
    private static readonly TimeSpan s_longPatience = TimeSpan.FromMinutes(10);
    private readonly HttpClient _http;

    private ControlClient(string where)
    {
        Socket = where;
        _http = RemoteApi.Is(where) ? RemoteApi.Open(where) : new HttpClient(Local(where)) { BaseAddress = new Uri("http://evenkeel"), Timeout = Timeout.InfiniteTimeSpan };
    }

    private static SocketsHttpHandler Local(string socket) => new()
    {
        UseProxy = false,
        ConnectCallback = async (_, cancellation) =>
        {
            var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellation);
                return new NetworkStream(connection, ownsSocket: true);
            }
            catch
            {
                connection.Dispose();
                throw;
            }
        },
    };

    /// <summary>Where it is: a socket's path, or an https URL.</summary>
    public string Socket { get; }
    public Hello Hello { get; private set; } = null!;

    /// <summary>Over TLS; says why when it cannot be had.</summary>
    /// <exception cref="CommandFailedException">Nobody answers there, it is not the cluster's, or the token is not good.</exception>
    public static async Task<ControlClient> ConnectAsync(string url, CancellationToken cancellation)
    {
        var client = new ControlClient(url);
        try
        {
            client.Hello = await client.GetAsync(ControlRoutes.Hello, ControlJson.Default.Hello, cancellation);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>Null when nobody answers on the socket before the token ends.</summary>
    public static async Task<ControlClient?> TryConnectAsync(string socket, CancellationToken cancellation)
    {
        ControlClient? client = null;
        try
        {
            client = new ControlClient(socket);
            client.Hello = await client.GetAsync(ControlRoutes.Hello, ControlJson.Default.Hello, cancellation);
            return client;
        }
        // Paths that cannot be a socket's (too long) are ArgumentExceptions.
        catch (Exception exception) when (exception is CommandFailedException or OperationCanceledException or ArgumentException)
        {
            client?.Dispose();
            return null;
        }
    }

    public Task<StatusReport> StatusAsync(CancellationToken cancellation) => GetAsync(ControlRoutes.Status, ControlJson.Default.StatusReport, cancellation);

    public Task<PlanReport> PlanAsync(FileRequest file, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Plan, file, ControlJson.Default.FileRequest, ControlJson.Default.PlanReport, cancellation);

    public Task<ApplyReport> ApplyAsync(FileRequest file, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Apply, file, ControlJson.Default.FileRequest, ControlJson.Default.ApplyReport, cancellation);

    public Task<Explanation> ExplainAsync(string service, CancellationToken cancellation) =>
        GetAsync(ControlRoutes.Explain.Replace("{service}", Uri.EscapeDataString(service), StringComparison.Ordinal), ControlJson.Default.Explanation, cancellation);

    public Task<Done> FenceAsync(NodeName node, FenceOrder order, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Fence.Replace("{node}", Uri.EscapeDataString(node.Value), StringComparison.Ordinal), order,
            ControlJson.Default.FenceOrder, ControlJson.Default.Done, cancellation);

    public Task<Done> SetNodeModeAsync(NodeName node, NodeModeRequest request, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.NodeMode.Replace("{node}", Uri.EscapeDataString(node.Value), StringComparison.Ordinal), request,
            ControlJson.Default.NodeModeRequest, ControlJson.Default.Done, cancellation);

    public Task<NewToken> TokenAsync(TokenOrder order, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Tokens, order, ControlJson.Default.TokenOrder, ControlJson.Default.NewToken, cancellation);

    public Task<TrustStatus> TrustAsync(CancellationToken cancellation) => GetAsync(ControlRoutes.Authority, ControlJson.Default.TrustStatus, cancellation);

    public Task<Done> RotateAuthorityAsync(AuthorityRotation order, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.AuthorityRotation, order, ControlJson.Default.AuthorityRotation, ControlJson.Default.Done, cancellation);

    public Task<Done> RenewGuardKeysAsync(CancellationToken cancellation) =>
        AskAsync(new HttpRequestMessage(HttpMethod.Post, ControlRoutes.GuardKeys), ControlJson.Default.Done, cancellation);

    public Task<NewApiToken> CreateApiTokenAsync(ApiTokenOrder order, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.ApiTokens, order, ControlJson.Default.ApiTokenOrder, ControlJson.Default.NewApiToken, cancellation);

    public Task<ApiTokenList> ApiTokensAsync(CancellationToken cancellation) => GetAsync(ControlRoutes.ApiTokens, ControlJson.Default.ApiTokenList, cancellation);

    public Task<Done> RevokeApiTokenAsync(string name, CancellationToken cancellation) =>
        AskAsync(new HttpRequestMessage(HttpMethod.Post, ControlRoutes.ApiTokenRevocation.Replace("{name}", Uri.EscapeDataString(name), StringComparison.Ordinal)), ControlJson.Default.Done, cancellation);

    public Task<AlertsReport> AlertsAsync(CancellationToken cancellation) => GetAsync(ControlRoutes.Alerts, ControlJson.Default.AlertsReport, cancellation);

    public Task<Done> TestAlertsAsync(AlertTest test, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.AlertTest, test, ControlJson.Default.AlertTest, ControlJson.Default.Done, cancellation);

    /// <summary>The answering node's guard is replaced by a new one.</summary>
    public Task<Done> RestartGuardAsync(CancellationToken cancellation) =>
        AskAsync(new HttpRequestMessage(HttpMethod.Post, ControlRoutes.GuardRestart), ControlJson.Default.Done, cancellation, s_longPatience);

    public Task<LogLevelsReport> LogLevelsAsync(CancellationToken cancellation) => GetAsync(ControlRoutes.LogLevels, ControlJson.Default.LogLevelsReport, cancellation);

    public Task<Done> SetLogLevelAsync(LogLevelOrder order, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.LogLevels, order, ControlJson.Default.LogLevelOrder, ControlJson.Default.Done, cancellation);

    /// <summary>All nodes are looked at anew: takes some seconds for each.</summary>
    public Task<PreflightReport> PreflightAsync(CancellationToken cancellation) =>
        AskAsync(new HttpRequestMessage(HttpMethod.Get, ControlRoutes.Preflight), PreflightJson.Default.PreflightReport, cancellation, s_longPatience);

    public Task<Done> RemoveAsync(NodeName node, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Remove.Replace("{node}", Uri.EscapeDataString(node.Value), StringComparison.Ordinal), new RemovalOrder(TimeSpan.Zero),
            ControlJson.Default.RemovalOrder, ControlJson.Default.Done, cancellation);

    public Task<Done> MayLeaveAsync(CancellationToken cancellation) => GetAsync(ControlRoutes.Leave, ControlJson.Default.Done, cancellation);

    public Task<Done> LeaveAsync(CancellationToken cancellation) => AskAsync(new HttpRequestMessage(HttpMethod.Post, ControlRoutes.Leave), ControlJson.Default.Done, cancellation);

    public Task<NewToken> ReplaceAsync(NodeName node, TimeSpan lifetime, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Replace.Replace("{node}", Uri.EscapeDataString(node.Value), StringComparison.Ordinal), new RemovalOrder(lifetime),
            ControlJson.Default.RemovalOrder, ControlJson.Default.NewToken, cancellation);

    public Task<Done> BackUpAsync(string job, BackupTask task, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.BackupNow.Replace("{job}", Uri.EscapeDataString(job), StringComparison.Ordinal), new BackupWish(task), ControlJson.Default.BackupWish, ControlJson.Default.Done, cancellation);

    public Task<Core.Volumes.WriterReport> VolumeAsync(string volume, CancellationToken cancellation) =>
        GetAsync(ControlRoutes.Volume.Replace("{volume}", volume, StringComparison.Ordinal), ControlJson.Default.WriterReport, cancellation);

    public Task<VerifyBegun> VerifyVolumeAsync(string volume, VerifyOrder order, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.VolumeVerify.Replace("{volume}", volume, StringComparison.Ordinal), order, ControlJson.Default.VerifyOrder, ControlJson.Default.VerifyBegun, cancellation);

    public Task<Done> MoveAsync(MoveOrder order, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Moves, order, ControlJson.Default.MoveOrder, ControlJson.Default.Done, cancellation);

    public Task<Done> RestartAsync(string service, NodeName node, CancellationToken cancellation) =>
        PostAsync(ControlRoutes.Restart.Replace("{service}", Uri.EscapeDataString(service), StringComparison.Ordinal), new RestartOrder(node),
            ControlJson.Default.RestartOrder, ControlJson.Default.Done, cancellation);

    public IAsyncEnumerable<ClusterEvent> EventsAsync(long after, int limit, bool follow, CancellationToken cancellation) =>
        StreamAsync(FormattableString.Invariant($"{ControlRoutes.Events}?after={after}&limit={limit}&follow={(follow ? "true" : "false")}"), ControlJson.Default.ClusterEvent, cancellation);

    public IAsyncEnumerable<LogLine> LogsAsync(string service, NodeName? node, int lines, bool follow, CancellationToken cancellation) =>
        StreamAsync(FormattableString.Invariant($"{ControlRoutes.Logs.Replace("{service}", Uri.EscapeDataString(service), StringComparison.Ordinal)}?lines={lines}&follow={(follow ? "true" : "false")}{(node is { } only ? "&node=" + Uri.EscapeDataString(only.Value) : "")}"),
            ControlJson.Default.LogLine, cancellation);

    public IAsyncEnumerable<AuditEntry> AuditAsync(int limit, CancellationToken cancellation) =>
        StreamAsync(FormattableString.Invariant($"{ControlRoutes.Audit}?limit={limit}"), ControlJson.Default.AuditEntry, cancellation);

    /// <summary>Another node's diagnostics: a gzip-compressed tar archive, as it comes.</summary>
    public async Task<Stream> DiagnosticsAsync(NodeName node, CancellationToken cancellation)
    {
        var response = await SendGuardedAsync(new HttpRequestMessage(HttpMethod.Get, ControlRoutes.Diagnostics.Replace("{node}", Uri.EscapeDataString(node.Value), StringComparison.Ordinal)), cancellation);
        return await response.Content.ReadAsStreamAsync(cancellation);
    }

    /// <summary>The agent's metrics in Prometheus's text format.</summary>
    public async Task<string> MetricsAsync(CancellationToken cancellation)
    {
        using var response = await SendGuardedAsync(new HttpRequestMessage(HttpMethod.Get, ControlRoutes.Metrics), cancellation);
        return await response.Content.ReadAsStringAsync(cancellation);
    }

    public void Dispose() => _http.Dispose();

    private Task<T> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellation) =>
        AskAsync(new HttpRequestMessage(HttpMethod.Get, path), type, cancellation);

    private Task<TAnswer> PostAsync<TRequest, TAnswer>(string path, TRequest body, JsonTypeInfo<TRequest> requestType, JsonTypeInfo<TAnswer> answerType, CancellationToken cancellation) =>
        AskAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, requestType)) }, answerType, cancellation);

    private async Task<T> AskAsync<T>(HttpRequestMessage request, JsonTypeInfo<T> type, CancellationToken cancellation, TimeSpan? patience = null)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limited.CancelAfter(patience ?? s_patience);
        try
        {
            using var response = await SendAsync(request, limited.Token);
            await using var body = await response.Content.ReadAsStreamAsync(limited.Token);
            return await JsonSerializer.DeserializeAsync(body, type, limited.Token) ?? throw new JsonException("empty answer");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new CommandFailedException(ExitCode.Failed, $"the agent behind {Socket} did not answer within {(patience ?? s_patience).TotalSeconds} s", "It may hang: try another node's socket with --cluster SOCKET");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or JsonException)
        {
            throw Broken(exception);
        }
    }

    private async IAsyncEnumerable<T> StreamAsync<T>(string path, JsonTypeInfo<T> type, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var response = await SendGuardedAsync(new HttpRequestMessage(HttpMethod.Get, path), cancellation);
        await using var body = await response.Content.ReadAsStreamAsync(cancellation);
        using var reader = new StreamReader(body);
        while (await NextLineAsync(reader, cancellation) is { } line)
            yield return JsonSerializer.Deserialize(line, type) ?? throw Broken(new JsonException("empty line"));
    }

    private async Task<string?> NextLineAsync(StreamReader reader, CancellationToken cancellation)
    {
        try
        {
            return await reader.ReadLineAsync(cancellation);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            throw Broken(exception);
        }
    }

    private async Task<HttpResponseMessage> SendGuardedAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        try
        {
            return await SendAsync(request, cancellation);
        }
        catch (HttpRequestException exception)
        {
            throw Broken(exception);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (response.IsSuccessStatusCode)
            return response;
        using (response)
        {
            if (response.Content.Headers.ContentType?.MediaType != "application/json")
                throw new CommandFailedException(ExitCode.Failed, $"the agent behind {Socket} answered {(int)response.StatusCode}", "Is it of another version? See 'evenkeel version' on its node");
            await using var body = await response.Content.ReadAsStreamAsync(cancellation);
            throw Failure(await JsonSerializer.DeserializeAsync(body, ControlJson.Default.Problem, cancellation) ?? new Problem(ProblemKind.Unavailable, "no reason given"));
        }
    }

    private static CommandFailedException Failure(Problem problem)
    {
        var code = problem.Kind switch
        {
            ProblemKind.Refused => ExitCode.Refused,
            ProblemKind.Configuration => ExitCode.Configuration,
            ProblemKind.Unknown => ExitCode.Usage,
            ProblemKind.Forbidden => ExitCode.Refused,
            _ => ExitCode.Failed,
        };
        return problem.Diagnostics.Count == 0 ? new CommandFailedException(code, problem.Message, problem.Mend)
            : new CommandFailedException(code, string.Join('\n', problem.Diagnostics.Select(diagnostic => diagnostic.ToString()).Prepend(problem.Message)), problem.Mend);
    }

    private ConnectionLostException Broken(Exception exception) =>
        new($"the connection to the agent behind {Socket} failed: {exception.Message.TrimEnd('.')}", "Look again with 'evenkeel status': another node answers if this one is gone");
}
