using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>What the file's services start is on this server, with the user that they run as.</summary>
internal sealed class ProgramCheck(PreflightSubject subject) : PreflightCheck("programs", subject)
{
    public override Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation)
    {
        if (Subject.Self.Role != NodeRole.Full)
        {
            return Task.FromResult<IReadOnlyList<PreflightFinding>>([]);
        }

        var processes = Subject.Spec.Services.Values.Where(service => service.Driver is ProcessDriverSpec).ToList();
        var found = processes.SelectMany(service => Of(service.Name, (ProcessDriverSpec)service.Driver)).ToList();
        return Task.FromResult<IReadOnlyList<PreflightFinding>>(found.Count > 0 || processes.Count == 0 ? found : [Passed($"what {string.Join(", ", processes.Select(service => service.Name))} runs is here")]);
    }

    private IEnumerable<PreflightFinding> Of(string service, ProcessDriverSpec process)
    {
        var program = process.Command[0].Contains('/', StringComparison.Ordinal) ? Path.GetFullPath(process.Command[0], process.WorkingDirectory ?? "/") : process.Command[0];
        // One with a placeholder is known where it runs alone.
        if (!program.Contains('{', StringComparison.Ordinal) && EtcdPrograms.Find(program) is null)
        {
            yield return Failed($"{program}, which {service} starts, is not on this server", "Install it here, or mend the service's command");
        }

        if (process.User is { } user && !File.ReadLines("/etc/passwd").Any(line => line.StartsWith(user + ":", StringComparison.Ordinal)))
        {
            yield return Warning($"{service} runs as {user}, whom /etc/passwd does not have", "Make the user, if no directory service has it");
        }
    }
}
