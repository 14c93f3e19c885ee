using System.Collections.Concurrent;
using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.EndToEnd.Enforcement;
using Evenkeel.Services.PostgreSql;
using Npgsql;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>One node with a real PostgreSQL: the driver, a real launcher, and every fact that the driver told.</summary>
internal sealed class DatabaseNode : IAsyncDisposable
{
    private const string Service = "db";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);
    private readonly DatabaseCluster _cluster;
    private readonly LauncherGuard _guard;
    private readonly ConcurrentQueue<InstanceFacts> _told = new();
    private PostgreSqlDriver _driver = null!;
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public DatabaseNode(DatabaseCluster cluster, string name, IPAddress address)
    {
        _cluster = cluster;
        Name = new NodeName(name);
        Address = address;
        Directory.CreateDirectory(Path.Combine(cluster.Root, name));
        _guard = new LauncherGuard($"ek-pg-{Environment.ProcessId}-{cluster.Network}-{name}", permitAll: true);
        NewDriver();
    }

    public NodeName Name { get; }
    public IPAddress Address { get; }
    public string Data => Path.Combine(_cluster.Root, Name.Value, "data");
    public int Launches => _guard.Launches;
    public InstanceFacts Facts => _driver.List().Single();
    public Task<ActionResult> Promote(long epoch) => _driver.PromoteAsync(Service, new Epoch(1, epoch), default);
    public Task<ActionResult> Demote() => _driver.DemoteAsync(Service, default);
    public Task<ActionResult> Stop() => _driver.StopAsync(Service, default);
    public void KillTree() => _guard.Send(new Signal(Service, 9, Tree: true));
    public void SendSignal(int number) => _guard.Send(new Signal(Service, number, Tree: false));

    public string Connection => new NpgsqlConnectionStringBuilder
    {
        Host = Address.ToString(), Port = DatabaseCluster.Port, Username = "postgres", Database = "postgres", Pooling = false, Timeout = 2, CommandTimeout = 20,
    }.ConnectionString;

    /// <summary>How its data is restored; null where it is not.</summary>
    public IReadOnlyList<string>? Restore { get; set; }

    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(30);

    public Task<ActionResult> Look() => _driver.LookAsync(Order(null, null), default);

    public Task<ActionResult> Primary(long epoch, DatabaseNode[]? required = null, bool initialise = false, bool strict = false, long? wrote = null) => Start(new Epoch(1, epoch), new ReplicationOrder
    {
        Required = [.. (required ?? []).Select(node => node.Name)], Initialise = initialise, Strict = strict, Others = Others, Data = initialise ? null : _cluster.Data,
        Wrote = wrote is { } last ? new Epoch(1, last) : null,
    });

    public Task<ActionResult> Follow(DatabaseNode? upstream, long epoch = 1, string? data = null) => Start(null, new ReplicationOrder
    {
        Upstream = upstream is null ? null : new Upstream(upstream.Name, new PrivateEndpoint(upstream.Address, DatabaseCluster.Port), new Epoch(1, epoch)),
        Others = Others, Data = data ?? _cluster.Data,
    });

    /// <summary>What the agent's restart does: another driver over the guard that goes on.</summary>
    public async Task RestartAgent()
    {
        await _driver.DisposeAsync();
        NewDriver();
        await _guard.SayHelloAsync();
    }

    public async Task<InstanceFacts> Until(Func<InstanceFacts, bool> condition, string what)
    {
        var until = DateTime.UtcNow + Patience;
        while (true)
        {
            var news = _news.Task;
            if (_driver.List() is [var facts, ..] && condition(facts))
            {
                return facts;
            }

            await Task.WhenAny(news, Task.Delay(200));
            if (DateTime.UtcNow > until)
            {
                throw new TimeoutException($"{Name} never became '{what}': {string.Join('\n', _told.TakeLast(5))}\n{string.Join(' ', _driver.List().Select(facts => facts.Replication))}\n{Log()}");
            }
        }
    }

    public Task<InstanceFacts> Streams() => Until(facts => facts is { Health: Health.Healthy, Epoch: null, Replication.Streaming: true }, "streaming");

    public async Task<object?> Ask(string question)
    {
        await using var link = new NpgsqlConnection(Connection);
        await link.OpenAsync();
        await using var command = new NpgsqlCommand(question, link);
        return await command.ExecuteScalarAsync();
    }

    public string Log() => Path.Combine(_cluster.Root, Name.Value, "logs", Service + ".log") is var path && File.Exists(path) ? string.Join('\n', File.ReadAllLines(path).TakeLast(40)) : "";

    /// <summary>Whether the driver ever told this, or since <see cref="ForgetTold"/>.</summary>
    public bool Told(Func<InstanceFacts, bool> condition) => _told.Any(condition);

    public void ForgetTold() => _told.Clear();

    public async ValueTask DisposeAsync()
    {
        await _driver.DisposeAsync();
        await _guard.DisposeAsync();
    }

    private IReadOnlyList<NodeName> Others => [.. _cluster.Nodes.Where(node => node != this).Select(node => node.Name)];

    private Task<ActionResult> Start(Epoch? epoch, ReplicationOrder replication) => _driver.StartAsync(Order(epoch, replication), default);

    private InstanceOrder Order(Epoch? epoch, ReplicationOrder? replication) => new(
        new ServiceSpec
        {
            Name = Service, Redundancy = Redundancy.Hot, Activity = Activity.SingleActive, Instances = _cluster.Nodes.Count,
            Driver = new PostgreSqlDriverSpec
            {
                Data = Path.Combine(_cluster.Root, "{node}", "data"), Port = DatabaseCluster.Port, Parameters = _cluster.Parameters,
                HostBasedAuthentication = ["host all all 127.0.0.0/8 trust"], StartTimeout = TimeSpan.FromSeconds(60), StopTimeout = StopTimeout,
                InitialiseWith = ["--no-sync"], Restore = Restore,
            },
        },
        new NodeSpec { Name = Name, Private = [Address] }, new PrivateEndpoint(Address, DatabaseCluster.Port), epoch) { Replication = replication, Version = 7 };

    private void NewDriver()
    {
        _driver = new PostgreSqlDriver(_guard, new PostgreSqlSettings
        {
            LogDirectory = Path.Combine(_cluster.Root, Name.Value, "logs"),
            Tls = _cluster.TlsOf(this),
            PrivateAddresses = () => [.. _cluster.Nodes.Select(node => node.Address)],
            IsRemoved = _cluster.Removed.Contains,
        });
        _driver.Changed += facts =>
        {
            _told.Enqueue(facts);
            Interlocked.Exchange(ref _news, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        };
    }
}
