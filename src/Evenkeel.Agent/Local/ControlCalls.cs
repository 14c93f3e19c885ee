using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Serialization.Metadata;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Local;

/// <summary>The few calls of the control API that a launcher makes to its own nodes.</summary>
public static class ControlCalls
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <returns>Null when the agent does not answer.</returns>
    public static async Task<StatusReport?> StatusAsync(string socket, CancellationToken cancellation)
    {
        using var client = Client(socket);
        try
        {
            return await client.GetFromJsonAsync(ControlRoutes.Status, ControlJson.Default.StatusReport, cancellation).ConfigureAwait(false);
        }
        catch (Exception exception) when (IsNoAnswer(exception, cancellation))
        {
            return null;
        }
    }

    /// <returns>Null when done, else why not.</returns>
    public static Task<string?> SetModeAsync(string socket, NodeName node, NodeMode mode, CancellationToken cancellation) => PostAsync(
        socket, ControlRoutes.NodeMode.Replace("{node}", node.Value, StringComparison.Ordinal), new NodeModeRequest(mode), ControlJson.Default.NodeModeRequest, cancellation);

    /// <returns>Null when the wish is on record, else why not.</returns>
    public static Task<string?> MoveAsync(string socket, ResourceId resource, NodeName to, CancellationToken cancellation) =>
        PostAsync(socket, ControlRoutes.Moves, new MoveOrder(resource, to), ControlJson.Default.MoveOrder, cancellation);

    private static async Task<string?> PostAsync<T>(string socket, string route, T body, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        using var client = Client(socket);
        try
        {
            using var answer = await client.PostAsJsonAsync(route, body, type, cancellation).ConfigureAwait(false);
            return answer.IsSuccessStatusCode
                ? null
                : (await answer.Content.ReadFromJsonAsync(ControlJson.Default.Problem, cancellation).ConfigureAwait(false))?.Message ?? answer.StatusCode.ToString();
        }
        catch (Exception exception) when (IsNoAnswer(exception, cancellation))
        {
            return exception.Message;
        }
    }

    /// <summary>The answer to a question as it is.</summary>
    /// <exception cref="HttpRequestException">The agent does not answer, or not with success.</exception>
    public static async Task<string> TextAsync(string socket, string route, CancellationToken cancellation)
    {
        using var client = Client(socket);
        client.Timeout = Timeout.InfiniteTimeSpan;
        return await client.GetStringAsync(new Uri(route, UriKind.Relative), cancellation).ConfigureAwait(false);
    }

    private static bool IsNoAnswer(Exception exception, CancellationToken cancellation) =>
        exception is HttpRequestException or IOException or SocketException or System.Text.Json.JsonException
        || (exception is OperationCanceledException && !cancellation.IsCancellationRequested);

    private static HttpClient Client(string socket) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        ConnectCallback = async (_, cancellation) =>
        {
            var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellation).ConfigureAwait(false);
                return new NetworkStream(connection, ownsSocket: true);
            }
            catch
            {
                connection.Dispose();
                throw;
            }
        },
    }) { BaseAddress = new Uri("http://evenkeel"), Timeout = Patience };
}
