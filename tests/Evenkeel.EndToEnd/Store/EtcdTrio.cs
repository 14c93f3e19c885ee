using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>Three real etcd members under mutual TLS, on loopback addresses of their own; each can be killed, frozen and started again.</summary>
public sealed partial class EtcdTrio : IAsyncLifetime
{
    private const int Stop = 19, Continue = 18;
    private static int s_nets = Environment.ProcessId % 200;

    private readonly string _net = string.Create(CultureInfo.InvariantCulture, $"127.61.{Interlocked.Increment(ref s_nets) % 250}");
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("evenkeel-etcd-");
    private readonly EtcdProcess?[] _processes = new EtcdProcess?[3];
    private readonly List<EtcdStore> _stores = [];

    /// <summary>Changes the members before they start.</summary>
    public Func<EtcdMember, EtcdMember> Adjust { get; init; } = member => member;

    public IReadOnlyList<EtcdMember> Members { get; private set; } = [];
    public IReadOnlyList<NodeCertificate> Certificates { get; private set; } = [];

    public async ValueTask InitializeAsync()
    {
        using var authority = CertificateAuthority.Create("shop");
        var nodes = Enumerable.Range(1, 3).Select(i => (Name: new NodeName($"n{i}"), Address: IPAddress.Parse($"{_net}.{i}"))).ToList();
        var peers = nodes.ToDictionary(node => node.Name, node => new PrivateEndpoint(node.Address, 2380));
        foreach (var (name, address) in nodes)
        {
            authority.IssueNode(name, [address], Path.Combine(_directory.FullName, name.Value, "tls"));
        }

        Members = [.. nodes.Select(node => Adjust(new EtcdMember
        {
            Node = node.Name,
            StateDirectory = Path.Combine(_directory.FullName, node.Name.Value),
            Clients = new PrivateEndpoint(node.Address, 2379),
            Peers = peers,
            Certificates = Path.Combine(_directory.FullName, node.Name.Value, "tls"),
            // A busy build machine, not a LAN of idle ones.
            Heartbeat = TimeSpan.FromMilliseconds(100),
            Election = TimeSpan.FromMilliseconds(500),
        }))];
        Certificates = [.. nodes.Select(node => NodeCertificate.Load(Path.Combine(_directory.FullName, node.Name.Value, "tls")))];
        for (var i = 0; i < 3; i++)
        {
            Start(i);
        }

        await HealthyAsync();
    }

    public void Start(int member) => _processes[member] = EtcdProcess.Start(Members[member]);
    public EtcdProcess Process(int member) => _processes[member]!;
    public void Freeze(int member) => Assert.Equal(0, SendSignal(_processes[member]!.Id, Stop));
    public void Thaw(int member) => Assert.Equal(0, SendSignal(_processes[member]!.Id, Continue));

    public void Kill(int member)
    {
        _processes[member]!.Kill();
        // The next start must not find it still dying.
        while (!_processes[member]!.HasExited)
        {
            Thread.Yield();
        }

        File.Delete(Members[member].PidFile);
    }

    /// <summary>A client that asks <paramref name="first"/> first.</summary>
    public EtcdStore Open(int first = 0)
    {
        var store = new EtcdStore("shop", [.. Enumerable.Range(0, 3).Select(i => Members[(first + i) % 3]).Select(m => new EtcdEndpoint(m.Clients, m.Node))], Certificates[first], _ => { });
        lock (_stores)
        {
            _stores.Add(store);
        }

        return store;
    }

    /// <summary>Returns when all three answer and have a leader; its number.</summary>
    public async Task<int> HealthyAsync()
    {
        await using var store = Open();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var last = "nobody answered";
        while (!patience.IsCancellationRequested)
        {
            try
            {
                var status = await store.GetStatusAsync(patience.Token);
                if (status is { HasQuorum: true, Leader: { } leader } && !status.Alarms.Any(alarm => alarm.StartsWith("no answer", StringComparison.Ordinal)))
                {
                    return int.Parse(leader[1..], CultureInfo.InvariantCulture) - 1;
                }

                last = status.ToString() + string.Join(';', status.Alarms);
            }
            catch (Exception exception) when (exception is StoreUnavailableException or OperationCanceledException)
            {
                last = exception.Message;
            }
        }

        throw new InvalidOperationException($"the etcd members did not come up: {last}\n{string.Join('\n', _processes.Select(process => process?.LastWords()))}");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes.OfType<EtcdProcess>())
        {
            process.Kill();
            process.Dispose();
        }

        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        foreach (var certificate in Certificates)
        {
            certificate.Dispose();
        }

        _directory.Delete(recursive: true);
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int process, int signal);
}
