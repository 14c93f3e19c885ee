using System.Collections;

namespace Evenkeel.Tests.Store.Linearizability;

/// <summary>
/// Decides whether a history of calls on one register could have happened one after the other, each between its call and its
/// return. Wing and Gong's search with Lowe's memory of visited (set done, value) pairs (Lowe, "Testing for linearizability",
/// 2017), as Porcupine does it: walk the events in time's order, try each call that is open, and step back at a return whose
/// call could not be placed. Registers are independent, so a store's history is checked key by key (Herlihy and Wing, locality).
/// </summary>
public static class LinearizabilityChecker
{
    private sealed class Event
    {
        public required int Operation { get; init; }
        public required bool IsCall { get; init; }
        public Event? Return { get; set; }
        public Event? Before { get; set; }
        public Event? After { get; set; }

        public void Unlink()
        {
            Before!.After = After;
            After?.Before = Before;
        }

        public void Relink()
        {
            Before!.After = this;
            After?.Before = this;
        }
    }

    public static bool IsLinearizable(IReadOnlyList<RegisterOperation> history)
    {
        var head = Link(history);
        var done = new BitArray(history.Count);
        var visited = new HashSet<string>(StringComparer.Ordinal);
        var path = new Stack<(Event Call, string? Before)>();
        string? state = null;
        var at = head.After;
        while (at is not null)
        {
            var operation = history[at.Operation];
            if (at.IsCall)
            {
                if (TryApply(operation, state, out var next))
                {
                    done[at.Operation] = true;
                    if (visited.Add(Fingerprint(done, next)))
                    {
                        path.Push((at, state));
                        state = next;
                        at.Unlink();
                        at.Return!.Unlink();
                        at = head.After;
                        continue;
                    }

                    done[at.Operation] = false;
                }

                at = at.After;
                continue;
            }

            // Unknown returns lie behind all others: nothing that must be explained is left.
            if (operation.Returned == RegisterOperation.Unknown)
            {
                return true;
            }

            if (!path.TryPop(out var last))
            {
                return false;
            }

            (var call, state) = last;
            done[call.Operation] = false;
            call.Return!.Relink();
            call.Relink();
            at = call.After;
        }

        return true;
    }

    private static bool TryApply(RegisterOperation operation, string? state, out string? next)
    {
        next = operation.Action is RegisterAction.Write or RegisterAction.Swap ? operation.Value : state;
        return operation.Action switch
        {
            RegisterAction.Read => state == operation.Value,
            RegisterAction.Write => true,
            RegisterAction.Swap => state == operation.Expected,
            _ => state != operation.Expected,
        };
    }

    private static Event Link(IReadOnlyList<RegisterOperation> history)
    {
        var events = new List<(long Time, int Order, Event Event)>();
        for (var i = 0; i < history.Count; i++)
        {
            var returned = new Event { Operation = i, IsCall = false };
            events.Add((history[i].Called, 0, new Event { Operation = i, IsCall = true, Return = returned }));
            // A call and a return at the same tick may have overlapped: the call counts as first.
            events.Add((history[i].Returned, 1, returned));
        }

        var head = new Event { Operation = -1, IsCall = true };
        var last = head;
        foreach (var (_, _, next) in events.OrderBy(e => e.Time).ThenBy(e => e.Order))
        {
            last.After = next;
            next.Before = last;
            last = next;
        }

        return head;
    }

    private static string Fingerprint(BitArray done, string? state)
    {
        var bytes = new byte[(done.Count + 7) / 8];
        done.CopyTo(bytes, 0);
        return $"{Convert.ToBase64String(bytes)}|{state}";
    }
}
