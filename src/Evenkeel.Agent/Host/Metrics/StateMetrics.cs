using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Prometheus;

namespace Evenkeel.Agent.Host.Metrics;

/// <summary>
/// The cluster's state as this agent sees it, in Prometheus's terms. Made anew for each reading, so that what the file no longer
/// names is gone; labels are names of the cluster's file, nothing that clients can choose.
/// </summary>
internal static class StateMetrics
{
    public static CollectorRegistry Of(StatusReport status, BalancerStatistics http, TcpStatistics tcp, NodeDates dates)
    {
        var registry = Prometheus.Metrics.NewCustomRegistry();
        var make = Prometheus.Metrics.WithCustomRegistry(registry);
        make.CreateGauge("evenkeel_controller", "1 on the node that decides at the moment.").Set(Is(status.Controller?.Node == status.AnsweredBy));
        make.CreateGauge("evenkeel_controller_known", "1 while this node knows of a controller.").Set(Is(status.Controller is not null));
        make.CreateGauge("evenkeel_spec_revision", "Revision of the cluster's file in force; 0 before the first.").Set(status.SpecRevision);
        make.CreateGauge("evenkeel_store_quorum", "1 while the coordination store has its majority.").Set(Is(status.Store.HasQuorum));
        make.CreateGauge("evenkeel_store_alarms", "Alarms that the coordination store raises.").Set(status.Store.Alarms.Count);
        OfDates(make, dates);
        OfNodes(make, status);
        OfVips(make, status);
        OfServices(make, status);
        OfBackups(make, status);
        OfVolumes(make, status);
        OfBalancer(make, http);
        OfBalancer(make, tcp);
        return registry;
    }

    private static void OfDates(MetricFactory make, NodeDates dates)
    {
        var ends = make.CreateGauge("evenkeel_certificate_expiry_timestamp_seconds", "When this node's certificate ends, and the newest authority that it trusts.", "certificate");
        ends.WithLabels("node").Set(dates.CertificateEnds.ToUnixTimeSeconds());
        ends.WithLabels("authority").Set(dates.AuthorityEnds.ToUnixTimeSeconds());
        if (dates.HoldsStore)
        {
            make.CreateGauge("evenkeel_store_snapshot_timestamp_seconds", "When this node took its last snapshot of the store; 0 when it has none.").Set(dates.Snapshot?.ToUnixTimeSeconds() ?? 0);
        }
    }

    private static void OfNodes(MetricFactory make, StatusReport status)
    {
        var alive = make.CreateGauge("evenkeel_node_alive", "1 while this node hears the other (or is it).", "node");
        var ready = make.CreateGauge("evenkeel_node_ready", "1 while the node may take over work.", "node");
        var active = make.CreateGauge("evenkeel_node_active", "0 while the node is drained or in maintenance.", "node");
        var guard = make.CreateGauge("evenkeel_guard_connected", "1 while the node's agent has its guard.", "node");
        var load = make.CreateGauge("evenkeel_node_load_per_core", "Load average of a minute for each core.", "node");
        foreach (var node in status.Nodes)
        {
            var name = node.Name.Value;
            alive.WithLabels(name).Set(Is(node.Reach == Reach.Alive));
            ready.WithLabels(name).Set(Is(node.Ready));
            active.WithLabels(name).Set(Is(node.Mode == NodeMode.Active));
            guard.WithLabels(name).Set(Is(node.GuardConnected));
            load.WithLabels(name).Set(node.LoadPerCore);
            if (node.Name == status.AnsweredBy)
            {
                make.CreateGauge("evenkeel_guard_limits", "What this node's guard may not do here (evenkeel status names it).").Set(node.Limits.Count);
            }
        }
    }

    private static void OfBackups(MetricFactory make, StatusReport status)
    {
        var good = make.CreateGauge("evenkeel_backup_last_good_timestamp_seconds", "When the job's last good backup ended; 0 when there is none.", "job");
        var took = make.CreateGauge("evenkeel_backup_last_good_seconds", "How long it took.", "job");
        var stored = make.CreateGauge("evenkeel_backup_last_good_stored_bytes", "What it added to the repository.", "job");
        var failures = make.CreateGauge("evenkeel_backup_failures", "Failed runs since the last good one.", "job");
        var running = make.CreateGauge("evenkeel_backup_running", "1 while a node is at it.", "job");
        foreach (var job in status.Backups)
        {
            good.WithLabels(job.Job).Set(job.LastGood?.Ended ?? 0);
            took.WithLabels(job.Job).Set(job.LastGood?.Seconds ?? 0);
            stored.WithLabels(job.Job).Set(job.LastGood?.BytesStored ?? 0);
            failures.WithLabels(job.Job).Set(job.Failures);
            running.WithLabels(job.Job).Set(Is(job.Running is not null));
        }
    }

    private static void OfVips(MetricFactory make, StatusReport status)
    {
        var held = make.CreateGauge("evenkeel_vip_held", "1 while the owner of the virtual IP reports a live lease.", "vip");
        var own = make.CreateGauge("evenkeel_vip_owner", "1 on the node that owns the virtual IP.", "vip");
        foreach (var vip in status.Vips)
        {
            held.WithLabels(vip.Name).Set(Is(vip.Held));
            own.WithLabels(vip.Name).Set(Is(vip.Owner?.Node == status.AnsweredBy));
        }
    }

    private static void OfServices(MetricFactory make, StatusReport status)
    {
        var wanted = make.CreateGauge("evenkeel_service_instances_wanted", "Instances that the file asks for.", "service");
        var healthy = make.CreateGauge("evenkeel_service_instances_healthy", "Instances that run and are healthy.", "service");
        var owner = make.CreateGauge("evenkeel_service_owner", "1 on the node where a single-active service acts.", "service");
        var lag = make.CreateGauge("evenkeel_replication_lag_bytes", "What the replica on the node has yet to receive from the active one.", "service", "node");
        var lagTransactions = make.CreateGauge("evenkeel_replication_lag_transactions", "Transactions among what the replica has yet to receive.", "service", "node");
        var lagTime = make.CreateGauge("evenkeel_replication_lag_seconds", "Age of the oldest write that the replica has yet to receive; 0 when it has all.", "service", "node");
        var inSync = make.CreateGauge("evenkeel_replication_in_sync", "Nodes that have every acknowledged write.", "service");
        foreach (var service in status.Services)
        {
            wanted.WithLabels(service.Name).Set(service.Wanted);
            healthy.WithLabels(service.Name).Set(service.Instances.Count(one => one is { Status: InstanceStatus.Running, Health: Health.Healthy }));
            if (service.Activity != Activity.Spread)
            {
                owner.WithLabels(service.Name).Set(Is(service.Owner?.Node == status.AnsweredBy));
            }

            if (service.Data is { } data)
            {
                inSync.WithLabels(service.Name).Set(data.InSync.Count);
            }

            foreach (var replica in service.Instances.Where(one => one.LagBytes is not null))
            {
                lag.WithLabels(service.Name, replica.Node.Value).Set(replica.LagBytes!.Value);
                lagTime.WithLabels(service.Name, replica.Node.Value).Set(replica.LagTime?.TotalSeconds ?? 0);
                if (replica.LagTransactions is { } transactions)
                {
                    lagTransactions.WithLabels(service.Name, replica.Node.Value).Set(transactions);
                }
            }
        }
    }

    private static void OfVolumes(MetricFactory make, StatusReport status)
    {
        var mounted = make.CreateGauge("evenkeel_volume_mounted", "1 while the volume's writer has mounted it.", "volume");
        var own = make.CreateGauge("evenkeel_volume_writer", "1 on the node that writes the volume.", "volume");
        var inSync = make.CreateGauge("evenkeel_volume_leg_in_sync", "1 while the leg on the node has every acknowledged write.", "volume", "node");
        var following = make.CreateGauge("evenkeel_volume_leg_following", "1 while the asynchronous leg on the node lacks no more than its backlog.", "volume", "node");
        var backlog = make.CreateGauge("evenkeel_volume_leg_backlog_bytes", "Acknowledged writes that the asynchronous leg lacks; on the writer's node alone.", "volume", "node");
        var age = make.CreateGauge("evenkeel_volume_leg_backlog_seconds", "For how long the oldest of these has been acknowledged; on the writer's node alone.", "volume", "node");
        var served = make.CreateGauge("evenkeel_volume_leg_served", "1 while the leg on the node is served.", "volume", "node");
        foreach (var volume in status.Volumes)
        {
            mounted.WithLabels(volume.Name).Set(Is(volume.Mounted));
            own.WithLabels(volume.Name).Set(Is(volume.Writer?.Node == status.AnsweredBy));
            foreach (var leg in volume.Legs)
            {
                inSync.WithLabels(volume.Name, leg.Node.Value).Set(Is(leg.State == LegState.InSync));
                served.WithLabels(volume.Name, leg.Node.Value).Set(Is(leg.State != LegState.Away));
                if (leg.Asynchronous)
                {
                    following.WithLabels(volume.Name, leg.Node.Value).Set(Is(leg.State == LegState.Following));
                }

                if (leg.BacklogBytes is { } bytes)
                {
                    backlog.WithLabels(volume.Name, leg.Node.Value).Set(bytes);
                }

                if (leg.BacklogSeconds is { } seconds)
                {
                    age.WithLabels(volume.Name, leg.Node.Value).Set(seconds);
                }
            }
        }
    }

    private static void OfBalancer(MetricFactory make, BalancerStatistics balancer)
    {
        string[] labels = ["service", "node"];
        var requests = make.CreateCounter("evenkeel_balancer_requests_total", "Attempts sent to the destination from this node, retries included.", labels);
        var failures = make.CreateCounter("evenkeel_balancer_failures_total", "Attempts that failed or were cancelled there.", labels);
        var retries = make.CreateCounter("evenkeel_balancer_retries_total", "Attempts there that had failed elsewhere before.", labels);
        var inFlight = make.CreateGauge("evenkeel_balancer_requests_in_flight", "Attempts under way.", labels);
        var usable = make.CreateGauge("evenkeel_balancer_destination_usable", "1 while the destination is healthy and not ejected.", labels);
        var delay = make.CreateGauge("evenkeel_balancer_response_seconds", "Time until response headers that this part of the attempts since the agent began did not pass.", "service", "node", "quantile");
        foreach (var group in balancer.Destinations.GroupBy(one => (one.Service, Node: one.Node.Value)))
        {
            string[] at = [group.Key.Service, group.Key.Node];
            requests.WithLabels(at).IncTo(group.Sum(one => one.Requests));
            failures.WithLabels(at).IncTo(group.Sum(one => one.Failures));
            retries.WithLabels(at).IncTo(group.Sum(one => one.Retries));
            inFlight.WithLabels(at).Set(group.Sum(one => one.InFlight));
            usable.WithLabels(at).Set(Is(group.Any(one => one is { Healthy: true, Ejected: false })));
            delay.WithLabels([.. at, "0.5"]).Set(group.Max(one => one.P50).TotalSeconds);
            delay.WithLabels([.. at, "0.99"]).Set(group.Max(one => one.P99).TotalSeconds);
        }
    }

    private static void OfBalancer(MetricFactory make, TcpStatistics balancer)
    {
        string[] labels = ["service", "node"];
        var open = make.CreateGauge("evenkeel_balancer_tcp_connections_open", "Connections of TCP doors from this node to the destination, those being made included.", labels);
        var connections = make.CreateCounter("evenkeel_balancer_tcp_connections_total", "Connections tried there, retries included.", labels);
        var failures = make.CreateCounter("evenkeel_balancer_tcp_connect_failures_total", "Of these, refused or not taken in time.", labels);
        var retries = make.CreateCounter("evenkeel_balancer_tcp_connect_retries_total", "Of these, after another destination had failed.", labels);
        var sent = make.CreateCounter("evenkeel_balancer_tcp_sent_bytes_total", "Carried from clients to the destination.", labels);
        var received = make.CreateCounter("evenkeel_balancer_tcp_received_bytes_total", "Carried from the destination to clients.", labels);
        var usable = make.CreateGauge("evenkeel_balancer_tcp_destination_usable", "1 while the destination is healthy and not ejected.", labels);
        foreach (var group in balancer.Destinations.GroupBy(one => (one.Service, Node: one.Node.Value)))
        {
            string[] at = [group.Key.Service, group.Key.Node];
            open.WithLabels(at).Set(group.Sum(one => one.Open));
            connections.WithLabels(at).IncTo(group.Sum(one => one.Connections));
            failures.WithLabels(at).IncTo(group.Sum(one => one.Failures));
            retries.WithLabels(at).IncTo(group.Sum(one => one.Retries));
            sent.WithLabels(at).IncTo(group.Sum(one => one.BytesTo));
            received.WithLabels(at).IncTo(group.Sum(one => one.BytesBack));
            usable.WithLabels(at).Set(Is(group.Any(one => one is { Healthy: true, Ejected: false })));
        }
    }

    private static double Is(bool so) => so ? 1 : 0;
}
