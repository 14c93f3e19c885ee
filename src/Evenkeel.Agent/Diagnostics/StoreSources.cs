using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using Evenkeel.Agent.Host;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>
/// What each member of a managed etcd says of itself: over its JSON gateway (etcd's grpc-gateway), with this node's certificate, so
/// that no <c>etcdctl</c> is needed. Nothing of the store's contents is read.
/// </summary>
internal static class StoreSources
{
    private static readonly string[] questions = ["maintenance/status", "maintenance/alarm", "cluster/member/list"];

    public static IEnumerable<Source> Of(AgentConfiguration configuration) =>
        from member in configuration.StoreMembers.OrderBy(member => member.Key, StringComparer.Ordinal)
        from question in questions
        select new Source($"store/{member.Key}-{question.Replace('/', '-')}.json",
            async cancellation => await AskAsync(configuration, $"https://{Host(member.Value)}:{PrivatePorts.EtcdClient}/v3/{question}", cancellation).ConfigureAwait(false));

    private static string Host(string address) => address.Contains(':', StringComparison.Ordinal) ? $"[{address}]" : address;

    private static async Task<string> AskAsync(AgentConfiguration configuration, string address, CancellationToken cancellation)
    {
        using var certificate = NodeCertificate.Load(Path.Combine(configuration.StateDirectory, "tls"));
        string? refused = null;
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, SslOptions = certificate.ClientOptions(null, reason => refused = reason) };
        handler.SslOptions.ApplicationProtocols = [SslApplicationProtocol.Http11];
        using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        using var question = new ByteArrayContent("{}"u8.ToArray()) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        try
        {
            using var answer = await http.PostAsync(new Uri(address), question, cancellation).ConfigureAwait(false);
            var text = await answer.Content.ReadAsStringAsync(cancellation).ConfigureAwait(false);
            return answer.IsSuccessStatusCode ? text : throw new InvalidOperationException($"it answered {(int)answer.StatusCode}: {text}");
        }
        catch (Exception exception) when (exception is HttpRequestException or SocketException)
        {
            throw new InvalidOperationException(refused ?? exception.InnerException?.Message ?? exception.Message, exception);
        }
    }
}
