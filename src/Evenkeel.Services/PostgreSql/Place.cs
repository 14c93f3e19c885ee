using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.PostgreSql;

/// <summary>An order as it is on this node: whose user, which programs, which directory, which port.</summary>
internal sealed record Place(string Service, DataDirectory Data, ServerPrograms Programs, ServerUser User, int Port, string Addresses, PostgreSqlSettings Settings)
{
    /// <summary>The guard's processes of this driver bear it, so that no other driver takes them for its own.</summary>
    public const string Driver = "postgresql";
    public const int StandardPort = 5432;

    /// <summary>False where there surely is no data.</summary>
    public static bool MayHaveData(InstanceOrder order)
    {
        var path = Path.TrimEndingDirectorySeparator(Placeholders.Fill(((PostgreSqlDriverSpec)order.Spec.Driver).Data, order));
        return File.Exists(Path.Combine(path, DataDirectory.VersionFile)) || (!Directory.Exists(path) && Directory.Exists(path + DataDirectory.ReplacedSuffix));
    }

    public static async Task<(Place? Place, ActionResult Result)> OfAsync(InstanceOrder order, PostgreSqlSettings settings, CancellationToken cancellation)
    {
        var spec = (PostgreSqlDriverSpec)order.Spec.Driver;
        if (PostgreSqlParameters.Problem(spec.Parameters) is { } refused)
        {
            return (null, ActionResult.Failure(refused));
        }

        var path = Path.TrimEndingDirectorySeparator(Placeholders.Fill(spec.Data, order));
        if (!Path.IsPathFullyQualified(path) || path == "/")
        {
            return (null, ActionResult.Failure($"the data directory '{path}' is not a full path"));
        }

        var (user, found) = await ServerUser.FindAsync(spec.User, cancellation).ConfigureAwait(false);
        if (user is null)
        {
            return (null, found);
        }

        var data = new DataDirectory(path, user);
        data.Recover();
        if (Binaries.Find(spec.Binaries, data.Major) is not { } binaries)
        {
            return (null, ActionResult.Failure(spec.Binaries is { } told
                ? $"there is no PostgreSQL in {told}: it must hold postgres, initdb, pg_basebackup, pg_rewind and pg_controldata"
                : $"no PostgreSQL{(data.Major is { } wanted ? $" {wanted}" : "")} is installed: install it, or write where it is as 'binaries'"));
        }

        if (data.Major is { } major && await Binaries.MajorAsync(binaries, cancellation).ConfigureAwait(false) is { } version && version != major)
        {
            return (null, ActionResult.Failure($"the data in {path} is of PostgreSQL {major}, the programs in {binaries} are {version}: install {major}, or upgrade the data with pg_upgrade while the service is stopped"));
        }

        var addresses = order.Node.Private.Append(order.Private?.Address).OfType<System.Net.IPAddress>().Distinct().Select(address => address.ToString());
        return (new Place(order.Spec.Name, data, new ServerPrograms(binaries, user), user, order.Private?.Port ?? spec.Port ?? StandardPort, string.Join(',', addresses), settings), ActionResult.Success);
    }

    /// <summary>With the lease of nobody: a standby holds none, and the guard ends this instance with the lease of its service's door all the same.</summary>
    public LaunchRequest Request => new()
    {
        Instance = Service,
        Command = ServerConfiguration.Command(Programs.Server, Data.Path, Addresses, Port, Data.Run),
        Driver = Driver,
        Environment = new Dictionary<string, string> { ["LC_ALL"] = "C.UTF-8" },
        WorkingDirectory = "/",
        User = User.ForLaunch,
        LogFile = LogFile,
    };

    public string LogFile => Path.Combine(Settings.LogDirectory, Service + ".log");

    public TlsFiles? Tls() => Data.PrepareCertificates(Settings.Tls);

    /// <summary>Brings the server's copies up to date; the same as long as they are. Null without certificates.</summary>
    public string? CertificatesMark() => Tls() is not { } tls ? null
        : Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData([.. File.ReadAllBytes(tls.Authority), .. File.ReadAllBytes(tls.Certificate), .. File.ReadAllBytes(tls.Key)]));

    /// <summary>Brings every file of ours to what the order says.</summary>
    /// <returns>Whether one changed.</returns>
    public bool Configure(InstanceOrder order)
    {
        var spec = (PostgreSqlDriverSpec)order.Spec.Driver;
        var replication = order.Replication ?? new ReplicationOrder();
        Data.PrepareRun();
        var tls = Tls();
        // A standby gets the names too: they are in effect long before it could be promoted.
        var changed = Data.Write(ServerConfiguration.MainFile, ServerConfiguration.Main(Filled(spec.Parameters), Data.Path, tls));
        changed |= Admit(order);
        changed |= Data.Write(ServerConfiguration.ReplicationFile, ServerConfiguration.Replication(
            SynchronousNames.Text(replication.Required, replication.Any, replication.Strict),
            replication.Upstream is { } upstream ? UpstreamConnection.ForPrograms(upstream, order.Node.Name, tls) : null,
            replication.Upstream is null ? null : SlotName.Of(order.Node.Name)));
        Data.IncludeOurs();
        return changed;
    }

    /// <summary>The same as long as the cluster's nodes are; null while its file is not known.</summary>
    public string? AdmissionMark(InstanceOrder order) => Settings.PrivateAddresses() is { Count: > 0 } addresses
        ? $"{string.Join(' ', addresses)} without {string.Join(' ', Named(order).Where(Settings.IsRemoved).Order())}" : null;

    private static IEnumerable<NodeName> Named(InstanceOrder order) =>
        (order.Replication?.Others ?? []).Append(order.Node.Name).Concat(order.Replication?.Upstream is { } followed ? [followed.Node] : []);

    /// <summary>Brings who may replicate, by name and address, to what the cluster is now.</summary>
    /// <returns>Whether it changed.</returns>
    public bool Admit(InstanceOrder order)
    {
        var changed = Data.Write(ServerConfiguration.AccessFile, HostAccess.Text(Settings.PrivateAddresses(), Settings.Tls is not null, ((PostgreSqlDriverSpec)order.Spec.Driver).HostBasedAuthentication));
        changed |= Data.Write(ServerConfiguration.IdentityFile, HostAccess.Identities(Named(order).Where(node => !Settings.IsRemoved(node))));
        return changed;
    }

    /// <summary>Takes out of <c>postgresql.auto.conf</c> what outranks our files; only while the server does not run, which writes it too.</summary>
    public void TakeBack(PostgreSqlDriverSpec spec)
    {
        var (text, removed) = AlteredSettings.Without(Data.Altered, spec.Parameters);
        if (removed.Count > 0)
        {
            Data.Write(AlteredSettings.FileName, text);
            Log($"took {string.Join(", ", removed)} out of {AlteredSettings.FileName}: cluster.yaml and the cluster set that");
        }
    }

    /// <summary>A line in the server's log; nobody waits for it when it cannot be written.</summary>
    public void Log(string line)
    {
        try
        {
            File.AppendAllText(LogFile, $"evenkeel: {line}\n");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // A full disk shows in the server's health.
        }
    }

    private Dictionary<string, string> Filled(IReadOnlyDictionary<string, string> parameters) =>
        parameters.ToDictionary(pair => pair.Key, pair => pair.Value.Replace("{evenkeel}", Settings.Program, StringComparison.Ordinal), StringComparer.Ordinal);
}
