using System.Globalization;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// How long etcd has waited for its disk to make its log durable, counted since its process began: the histogram
/// <c>etcd_disk_wal_fsync_duration_seconds</c> of its own /metrics (etcd.io/docs, metrics: the same name in 3.4, 3.5 and 3.6).
/// </summary>
/// <param name="UpTo">By a bound in seconds: the syncs that took no longer.</param>
public sealed record EtcdSyncTimes(IReadOnlyDictionary<double, double> UpTo, double Total)
{
    private const string Name = "etcd_disk_wal_fsync_duration_seconds_";

    /// <returns>Null where the text does not have it.</returns>
    public static EtcdSyncTimes? Parse(string text)
    {
        var upTo = new Dictionary<double, double>();
        double? total = null;
        foreach (var line in text.Split('\n').Where(line => line.StartsWith(Name, StringComparison.Ordinal)))
        {
            if (!double.TryParse(line.AsSpan(line.LastIndexOf(' ') + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var value))
            {
                continue;
            }

            if (line.StartsWith(Name + "count ", StringComparison.Ordinal))
            {
                total = value;
            }
            else if (line.Split('"') is [_, var bound, ..] && double.TryParse(bound, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && double.IsFinite(seconds))
            {
                upTo[seconds] = value;
            }
        }

        return total is { } all && upTo.Count > 0 ? new EtcdSyncTimes(upTo, all) : null;
    }

    /// <summary>What was added after an earlier reading of the same process; all of it when another one has begun meanwhile.</summary>
    public EtcdSyncTimes Since(EtcdSyncTimes earlier) => earlier.Total > Total ? this
        : new(UpTo.ToDictionary(pair => pair.Key, pair => pair.Value - earlier.UpTo.GetValueOrDefault(pair.Key)), Total - earlier.Total);

    /// <summary>The largest bound of the histogram that is not above <paramref name="limit"/>; the smallest where all are.</summary>
    public TimeSpan Bound(TimeSpan limit) => TimeSpan.FromSeconds(UpTo.Keys.Where(bound => bound <= limit.TotalSeconds).DefaultIfEmpty(UpTo.Keys.Min()).Max());

    /// <param name="bound">One of the histogram's.</param>
    public double SlowerThan(TimeSpan bound) => Total - UpTo.GetValueOrDefault(bound.TotalSeconds);

    /// <summary>Reads them from a member that answers, a learner too.</summary>
    /// <returns>Null when it does not answer, or does not tell.</returns>
    public static async Task<EtcdSyncTimes?> ReadAsync(HttpClient client, EtcdEndpoint member, bool secure, CancellationToken cancellation)
    {
        try
        {
            return Parse(await client.GetStringAsync(new Uri($"{(secure ? "https" : "http")}://{member.Address}/metrics"), cancellation).ConfigureAwait(false));
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return null;
        }
    }

    /// <summary>For <see cref="ReadAsync"/>: asks for nothing else, and no longer than two seconds.</summary>
    public static HttpClient Client(EtcdEndpoint member, NodeCertificate? certificate)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(10) };
        if (certificate is not null)
        {
            handler.SslOptions = certificate.ClientOptions(member.Node, _ => { });
        }

        return new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(2), MaxResponseContentBufferSize = 4 << 20 };
    }
}
