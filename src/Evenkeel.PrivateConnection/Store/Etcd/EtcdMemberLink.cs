using System.Net;
using System.Net.Sockets;
using Etcdserverpb;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Transport;
using Grpc.Net.Client;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// gRPC to one member over one HTTP/2 connection, made when needed and made again when it breaks. A silently cut connection is
/// given up by the kernel (TCP_USER_TIMEOUT), so that a healed network is used at once rather than after TCP's back-off.
/// </summary>
internal sealed class EtcdMemberLink : IDisposable
{
    private static readonly TimeSpan DialLimit = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Unacknowledged = TimeSpan.FromSeconds(1);
    private const int LargestAnswer = 64 << 20;

    private readonly GrpcChannel _channel;
    private string? _lastComplaint;

    public EtcdMemberLink(EtcdEndpoint endpoint, NodeCertificate? certificate, Action<string> log)
    {
        Endpoint = endpoint;
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = DialLimit,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            EnableMultipleHttp2Connections = false,
            UseProxy = false,
            ConnectCallback = DialAsync,
        };
        if (endpoint.Tls is { } foreign)
        {
            handler.SslOptions = foreign.Options();
        }
        else if (certificate is not null)
        {
            handler.SslOptions = certificate.ClientOptions(endpoint.Node, reason =>
            {
                // Every attempt finds the same; say it once.
                if (Interlocked.Exchange(ref _lastComplaint, reason) != reason)
                {
                    log($"etcd at {endpoint.Address}: {reason}");
                }
            });
        }

        _channel = GrpcChannel.ForAddress($"{(certificate is null && endpoint.Tls is null ? "http" : "https")}://{endpoint.Address}", new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = LargestAnswer,
        });
        Values = new KV.KVClient(_channel);
        Watches = new Watch.WatchClient(_channel);
        Maintenance = new Maintenance.MaintenanceClient(_channel);
        Cluster = new Cluster.ClusterClient(_channel);
    }

    public EtcdEndpoint Endpoint { get; }
    public KV.KVClient Values { get; }
    public Watch.WatchClient Watches { get; }
    public Maintenance.MaintenanceClient Maintenance { get; }
    public Cluster.ClusterClient Cluster { get; }

    public void Dispose() => _channel.Dispose();

    private static async ValueTask<Stream> DialAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var address = IPAddress.Parse(context.DnsEndPoint.Host.Trim('[', ']'));
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            TcpTuning.Apply(socket, Unacknowledged);
            await socket.ConnectAsync(new IPEndPoint(address, context.DnsEndPoint.Port), cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
