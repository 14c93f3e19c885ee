using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>The program that holds the coordination store is here, and of a version that may hold it.</summary>
internal sealed class EtcdCheck(PreflightSubject subject) : PreflightCheck("etcd", subject)
{
    private const string Install = "Debian, Ubuntu: apt install etcd-server etcd-client, then systemctl disable --now etcd; or https://etcd.io";
    // Members could silently come to differ after a crash (etcd's postmortem of March 2022); mended in 3.5.3.
    private static readonly Version s_differsFrom = new(3, 5, 0), s_differsTo = new(3, 5, 3);

    public override async Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation) =>
        Subject.Spec.Coordination is { Kind: CoordinationKind.External, Endpoints: { } members } ? await ExternalAsync(members, cancellation).ConfigureAwait(false) : [.. Look()];

    private async Task<IReadOnlyList<PreflightFinding>> ExternalAsync(IReadOnlyList<Uri> members, CancellationToken cancellation)
    {
        var places = members.Select(url => new IPEndPoint(IPAddress.Parse(url.Host.Trim('[', ']')), url.Port)).ToList();
        var answers = await Task.WhenAll(places.Select(place => TcpProbe.AskAsync(null, place, cancellation))).ConfigureAwait(false);
        var missing = places.Where((_, at) => answers[at] != TcpAnswer.Open).ToList();
        return missing.Count == 0 ? [Passed($"{places.Count} of your etcd's members take connections")]
            : [(missing.Count == places.Count ? Failed : (Func<string, string, PreflightFinding>)Warning)($"your etcd takes no connection at {string.Join(", ", missing)}", "Is it running, and does a firewall let this server through? docs/operations/external-etcd.md")];
    }

    private IEnumerable<PreflightFinding> Look()
    {
        if (!Subject.HoldsStore)
        {
            yield break;
        }

        if (EtcdPrograms.Find("etcd") is not { } program)
        {
            yield return Failed("etcd is not installed", Install);
            yield break;
        }

        Version? version = null;
        string? reason = null;
        try
        {
            version = EtcdPrograms.CheckVersion(program);
        }
        catch (EtcdStartException exception)
        {
            reason = exception.Message;
        }

        yield return version is null ? Failed(reason!, Install)
            : version >= s_differsFrom && version < s_differsTo ? Failed($"{program} is etcd {version}, whose members can come to differ after a crash", "3.5.3 or later (or 3.4)")
            : Passed($"{program} is etcd {version}");
        if (EtcdPrograms.Find("etcdutl") is null && EtcdPrograms.Find("etcdctl") is null)
        {
            yield return Warning("neither etcdutl nor etcdctl is installed: a snapshot cannot be restored here", "apt install etcd-client");
        }
    }
}
