using System.Globalization;
using System.Text.RegularExpressions;
using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Reads one service and fills in what follows from its redundancy.</summary>
/// <param name="fullNodes">How many nodes are no witness: the default number of hot instances.</param>
internal sealed partial class ServiceReader(int fullNodes)
{
    public ServiceSpec? Read(string name, Reading service)
    {
        DriverSpec? read = ReadProcess(service);
        read ??= DriverReader.ReadOcf(service);
        read ??= DriverReader.ReadSystemd(service);
        read ??= PostgreSqlReader.Read(service);
        if (read is not { } driver)
            return null;
        var redundancy = service.Text("redundancy") switch { "cold" => Redundancy.Cold, "warm" => Redundancy.Warm, _ => Redundancy.Hot };
        var activity = service.Text("activity") switch
        {
            "single" => Activity.SingleActive,
            "spread" => Activity.Spread,
            _ => redundancy == Redundancy.Hot && driver is ProcessDriverSpec ? Activity.Spread : Activity.SingleActive,
        };
        return new ServiceSpec
        {
            Name = name,
            Redundancy = redundancy,
            Activity = activity,
            Instances = service.Integer("instances") ?? (driver is PostgreSqlDriverSpec postgresql ? PostgreSqlReader.Instances(postgresql, redundancy, fullNodes) : activity == Activity.Spread && redundancy == Redundancy.Hot ? Math.Max(1, fullNodes) : 1),
            Driver = driver,
            Health = service.Inner("health") is { } health ? ReadHealth(health) : null,
            Publish = [.. service.Items("publish").OfType<YamlMap>().Select(map => ReadPublish(new Reading(map, ""), activity)).OfType<PublishSpec>()],
            Objectives = new ObjectivesSpec(service.Inner("objectives")?.Time("rto"), service.Inner("objectives")?.Time("rpo")),
            Requires = service.Text("requires") switch
            {
                "fencing" => Requirement.Fencing,
                "quorum" => Requirement.Quorum,
                _ => activity == Activity.SingleActive && OutlivesLease.Of(driver) ? Requirement.Fencing : Requirement.Quorum,
            },
            DependsOn = service.Texts("depends_on"),
            DrainTimeout = service.Time("drain_timeout") ?? ServiceSpec.StandardDrainTimeout,
            Placement = service.Inner("placement") is { } placement ? ReadPlacement(placement) : new PlacementSpec(),
            Needs = service.Numbers("needs"),
            Mounts = VolumeReader.Mounts(service),
        };
    }

    private static ProcessDriverSpec? ReadProcess(Reading service)
    {
        if (service.Inner("process") is not { } process || process.Command("command") is not { } command)
            return null;
        var standard = new ProcessDriverSpec { Command = command };
        return standard with
        {
            Environment = process.TextMap("environment"),
            WorkingDirectory = process.Text("working_directory"),
            User = process.Text("user"),
            Port = service.Integer("port") ?? PortOf(command),
            StopSignal = process.Text("stop_signal") ?? standard.StopSignal,
            StopTimeout = process.Time("stop_timeout") ?? standard.StopTimeout,
            StartTimeout = process.Time("start_timeout") ?? standard.StartTimeout,
            Prepare = process.Command("prepare"),
            Promote = process.Command("promote"),
            Demote = process.Command("demote"),
        };
    }

    // `http://{private}:5000` already says where the instance listens.
    private static int? PortOf(IReadOnlyList<string> command) => command.Select(word => PrivatePort().Match(word)).FirstOrDefault(match => match.Success)
        is { } found && int.TryParse(found.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535 ? port : null;

    private static HealthSpec ReadHealth(Reading health)
    {
        var standard = new HealthSpec { Kind = ProbeKind.None };
        return standard with
        {
            Kind = health.Text("http") is not null ? ProbeKind.Http
                : health.Boolean("tcp") == true ? ProbeKind.Tcp
                : health.Boolean("tls") == true ? ProbeKind.Tls
                : health.Boolean("grpc") == true ? ProbeKind.Grpc
                : health.Command("script") is not null ? ProbeKind.Script : ProbeKind.None,
            Path = health.Text("http"),
            LeastStatus = Statuses(health)?.Least ?? standard.LeastStatus,
            GreatestStatus = Statuses(health)?.Greatest ?? standard.GreatestStatus,
            Contains = health.Text("contains"),
            Host = health.Text("host"),
            GrpcService = health.Text("grpc_service"),
            Command = health.Command("script"),
            Every = health.Time("every") ?? standard.Every,
            // Left out, the time-out follows a shorter interval: every 50ms means no probe longer than that.
            Timeout = health.Time("timeout") ?? (health.Time("every") is { } every && every < standard.Timeout ? every : standard.Timeout),
            Rise = health.Integer("rise") ?? standard.Rise,
            Fall = health.Integer("fall") ?? standard.Fall,
        };
    }

    // `200`, or `200-299`.
    private static (int Least, int Greatest)? Statuses(Reading health) => health.Text("status")?.Split('-') is [_, ..] ends
        && int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var least)
        && int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var greatest) ? (least, greatest) : null;

    private static PublishSpec? ReadPublish(Reading publish, Activity activity) =>
        publish.Text("vip") is not { } vip || publish.Integer("port") is not { } port ? null : new PublishSpec
        {
            Vip = vip,
            Port = port,
            Protocol = publish.Text("protocol") == "tcp" ? PublishProtocol.Tcp : PublishProtocol.Http,
            Balance = publish.Text("balance") switch
            {
                "round-robin" => BalancePolicy.RoundRobin,
                "least-requests" => BalancePolicy.LeastRequests,
                "source-hash" => BalancePolicy.SourceHash,
                "header-hash" => BalancePolicy.HeaderHash,
                "cookie-hash" => BalancePolicy.CookieHash,
                _ => BalancePolicy.TwoChoices,
            },
            ToStandbys = publish.Text("to") == "standbys",
            ToPrimary = publish.Text("to") is { } to ? to == "primary" : activity == Activity.SingleActive,
            Door = DoorReader.Read(publish),
        };

    private static PlacementSpec ReadPlacement(Reading placement)
    {
        var standard = new PlacementSpec();
        return new PlacementSpec
        {
            Prefer = placement.Nodes("prefer"),
            Avoid = placement.Nodes("avoid"),
            With = placement.Texts("with"),
            Apart = placement.Texts("apart"),
            Stickiness = placement.Integer("stickiness") ?? standard.Stickiness,
            Failback = placement.Boolean("failback") ?? standard.Failback,
            MaxFailures = placement.Integer("max_failures"),
            FailureWindow = placement.Time("failure_window") ?? standard.FailureWindow,
        };
    }

    [GeneratedRegex(@"\{private\}:([0-9]{1,5})(?![0-9])")]
    private static partial Regex PrivatePort();
}
